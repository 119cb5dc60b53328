"""What the pages ask, one module a view: from the session and the question to numbers or a picture.

Answers only read. What changes something are the actions of `recipe` and `files`.
"""
