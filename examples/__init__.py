"""Examples: each says in its first lines how it is run, and tests/e2e/test_examples.py runs it so."""
