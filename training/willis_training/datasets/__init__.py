"""The material that training draws from, read into typed values."""
