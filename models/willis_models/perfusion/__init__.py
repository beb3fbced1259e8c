"""CT perfusion from contrast curves to maps and numbers: pure arrays, no input or output."""
