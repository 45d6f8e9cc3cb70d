"""Measuring symptoms: each module fills one dataclass of `seglib.doctor.symptoms`.

readings      boxes, masks, image and category ids read otherwise than the format prescribes
data          a split of a data set
log           the course of a run
weights       a model's file
results_file  predictions in COCO's results format, whatever is wrong with them
overlaps      predictions beside the truth
model         a model's figures with changed settings
"""
