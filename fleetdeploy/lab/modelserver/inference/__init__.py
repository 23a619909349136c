"""Requests to answers, as protobuf messages, on a servable that was looked up."""
