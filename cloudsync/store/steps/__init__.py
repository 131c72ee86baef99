"""The schema's steps, one module each. What is released here never changes; a new need is a new module."""
