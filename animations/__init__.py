"""The five films of docs/animations: `make animations`.

`words/` has what each film says, from the tables in results/; `scenes/` how it is drawn.
"""
