"""The tiny base: a Llama under 1M parameters that knows the formats, copies from context and guesses closed-book.

Command: ``python -m reachlab.studies.tiny --out DIR`` (seven minutes on two cores). ``tokenizer`` makes the
vocabulary and the chat template, ``documents`` draws what the base reads, ``recipe`` trains it. The weights that
ship lie in ``reachlab/policies/tiny``.

Not covered: knowledge. Every document has a world of its own, so nothing can be known closed-book.
"""
