"""Tables larger than memory, part by part: sources → survey → buffers."""
