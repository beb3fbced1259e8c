"""From torch to ONNX and what runs it: the file, the gate between them, variants, runtimes."""
