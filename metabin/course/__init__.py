"""The course as an instrument: lessons run headless, and what a class needs made from them.

    python -m metabin course run --profile demo --seed 0 --lesson 2 -p iterations=50
    python -m metabin course handouts | slides [--plan 45] | exercises [--lesson 2] | map

Values are checked against the lessons' `parameters` cells before anything runs. What comes out
lies in build/: executed copies (notebooks/), handouts (html/), recorded numbers (results/), how
they came about (manifest.json), decks of slides (slides/) and exercise sheets (exercises/).
"""
