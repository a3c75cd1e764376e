"""Studies of what each strategy does, on a pretrained model that fits two cores.

    python -m recipes.evidence run --study recitation --out runs/evidence --seeds 1 2 3
    python -m recipes.evidence table --study recitation --out runs/evidence

A study is a set of arms that differ in one thing: same pictures, warm start, seeds and steps. What
an arm gives is a folder of JSON files; an arm that is there already is not run again.
"""
