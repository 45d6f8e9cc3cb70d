"""Wrong solutions of assignment 13: MaskFormer."""

FULL = 'F.interpolate(masks, size, mode="bilinear").sigmoid()'
CLASSES = "logits.softmax(dim=-1)[..., :-1]"
SCORES = 'torch.einsum("bqc,bqyx->bcyx", classes, full)'
LABELS = "torch.where(best < least, 0, label + 1)"
ENTERED = "(labels > 0) & (scores > segment_threshold)"
WINNER = "(scores[:, None, None] * masks).argmax(dim=0)"
PAINTED = "painted = won & own"
DROPPED = "won.sum() / own.sum() < overlap_threshold"
NUMBERED = "if label not in number_of or label not in stuff:"
UNION = "(mine & ~void).sum().item() + true.sum().item() - shared"
MATCH = "label == true_label and shared > 0.5 * union"
KNOWN = "known = (mine & void).sum() <= 0.5 * mine.sum()"
RECOGNITION = "len(own) / (len(own) + false / 2 + lost / 2)"

WRONG = {
    "labels": {
        "no object is the first class": (CLASSES, "logits.softmax(dim=-1)[..., 1:]"),
        "no object may win": (CLASSES, "logits.softmax(dim=-1)"),
        "softmax without no object": (CLASSES, "logits[..., :-1].softmax(dim=-1)"),
        "softmax over the queries": (CLASSES, "logits.softmax(dim=1)[..., :-1]"),
        "logits instead of probabilities of classes": (CLASSES, "logits[..., :-1]"),
        "logits instead of probabilities of masks": (FULL, FULL.replace(".sigmoid()", "")),
        "softmax of the masks over the queries": (
            FULL,
            FULL.replace(".sigmoid()", ".softmax(dim=1)"),
        ),
        "enlarges probabilities": (
            FULL,
            'F.interpolate(masks.sigmoid(), size, mode="bilinear")',
        ),
        "nearest instead of bilinear": (FULL, FULL.replace("bilinear", "nearest")),
        "the best query instead of the sum": (
            SCORES,
            "(classes[..., None, None] * full[:, :, None]).amax(dim=1)",
        ),
        "labels from 0": (LABELS, "torch.where(best < least, 0, label)"),
        "ignores least": (LABELS, "label + 1"),
        "not above least instead of below": (LABELS, LABELS.replace("<", "<=") + " * (best > 0.5)"),
        "adds up all images": (
            SCORES,
            'torch.einsum("bqc,bqyx->cyx", classes, full)[None].repeat(len(masks), 1, 1, 1)',
        ),
        "size as (W, H)": (FULL, FULL.replace("size,", "size[::-1],")),
        "returns floats": (LABELS, f"{LABELS}.float()"),
    },
    "merge": {
        "not below instead of above the threshold": (ENTERED, ENTERED.replace("> seg", ">= seg")),
        "no object may enter": (ENTERED, "scores > segment_threshold"),
        "everything enters": (ENTERED, "labels > 0"),
        "the threshold is always 0.8": (ENTERED, "(labels > 0) & (scores > 0.8)"),
        "the mask alone decides": (WINNER, "masks.argmax(dim=0)"),
        "the score alone decides": (
            WINNER,
            "torch.where(masks >= 0.5, scores[:, None, None], 0).argmax(dim=0)",
        ),
        "paints outside the own mask": (PAINTED, "painted = won & own.any()"),
        "paints the own mask whole": (PAINTED, "painted = own"),
        "drops nothing": (DROPPED, "False"),
        "the share of the won pixels": (DROPPED, "(won & own).sum() / won.sum() < 0.8"),
        "not above instead of below": (DROPPED, DROPPED.replace("<", "<=")),
        "the overlap threshold is always 0.8": (DROPPED, "won.sum() / own.sum() < 0.8"),
        "own mask above one half": ("masks[query] >= 0.5", "masks[query] > 0.5"),
        "stuff is not joined": (NUMBERED, "if True:"),
        "things are joined as well": (NUMBERED, "if label not in number_of:"),
        "numbers from 0": ("number_of[label] = len(found)", "number_of[label] = len(found) - 1"),
        "a number for what is dropped": (
            "            continue\n        if label not in",
            "            found.append(label)\n            continue\n        if label not in",
        ),
        "numbers are those of the queries": (
            "number_of[label] = len(found)",
            "number_of[label] = query + 1",
        ),
        "fails without queries": ("if len(labels) == 0:", "if False:"),
        "only the last of the painted stuff": (
            "segment_map[painted] = number_of[label]",
            "segment_map[segment_map == number_of[label]] = 0\n"
            "        segment_map[painted] = number_of[label]",
        ),
    },
    "quality": {
        "an IoU of 1/2 matches": (MATCH, MATCH.replace("> 0.5", ">= 0.5")),
        "labels are ignored": (MATCH, "shared > 0.5 * union"),
        "numbers must agree": (MATCH, f"{MATCH} and p == t"),
        "area of the prediction instead of the union": (UNION, "mine.sum().item()"),
        "void counts in the union": (UNION, UNION.replace("(mine & ~void)", "mine")),
        "what is shared counts twice": (UNION, UNION.replace(" - shared", "")),
        "void makes false positives": (KNOWN, "known = True"),
        "half void is enough": (KNOWN, KNOWN.replace("<=", "<")),
        "false positives count whole": (RECOGNITION, RECOGNITION.replace("false / 2", "false")),
        "false negatives count whole": (RECOGNITION, RECOGNITION.replace("lost / 2", "lost")),
        "no false positives": (RECOGNITION, "len(own) / (len(own) + lost / 2 or 1)"),
        "no false negatives": (RECOGNITION, "len(own) / (len(own) + false / 2 or 1)"),
        "SQ over all segments": (
            "sum(own) / len(own) if own else 0.0",
            "sum(own) / (len(own) + false + lost)",
        ),
        "PQ is the mean of both": ("(sq * rq, sq, rq)", "((sq + rq) / 2, sq, rq)"),
        "SQ and RQ exchanged": ("(sq * rq, sq, rq)", "(sq * rq, rq, sq)"),
        "only classes of the truth": (
            "{*predicted_labels.values(), *true_labels.values()}",
            "set(true_labels.values())",
        ),
        "classes without anything stay": ("if len(own) + false + lost:", "if True:"),
        "returns PQ alone": ("(sq * rq, sq, rq)", "(sq * rq,)"),
    },
}
