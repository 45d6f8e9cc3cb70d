"""Measuring symptoms: each module fills one dataclass of `seglib.doctor.symptoms`.

readings          ways in which boxes and masks may have been meant
classes           ways in which labels and category ids may have been meant
data              a split of a data set
log               the log of a run
weights           a model's file
results_file      predictions in COCO's results format, even faulty ones
predicted         one form for the predictions of a file and of a model
overlaps          predictions compared with the truth
file_predictions  the predictions of a file
model             a model's figures with changed settings
"""
