"""A tuned policy as an ONNX graph, which any runtime of that format computes."""
