"""The exercises as `check` knows them: references, cases and hints, a file for each lesson.

They stand here and not in the lessons so that a stub has no answer beside it.
"""
