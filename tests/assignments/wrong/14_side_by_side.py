"""Wrong solutions of assignment 14: side by side."""

NEAR = "near = overlaps >= threshold"
OWN = "own = labels[:, None] == true_labels"
FREE = "free = fits & ~taken"
BEST = "torch.where(free, overlaps[d], -1.0).argmax()"
DUPLICATE = "result[d] = fits.any() and not (near[d] & ~own[d]).any()"
GROWN = "F.max_pool2d(masks[i][None].float(), side, stride=1, padding=gap)[0] > 0"
ALIKE = "[j for j in range(len(labels)) if j != i and labels[j] == labels[i]]"
GROUP = "0 if any((grown & masks[j]).any() for j in alike) else 1"
DIVIDED = "f / n if n else math.nan for f, n in zip(found_of, count_of, strict=True)"
MEANS = """
    means = []
    for image in images:
        each = touching_recall_of([image], gap)
        means.append(each)
    columns = [[v for v in column if not math.isnan(v)] for column in zip(*means)]
    return tuple(sum(c) / len(c) if c else math.nan for c in columns)


def touching_recall_of(images, gap):
    found_of, count_of = [0, 0], [0, 0]"""

WRONG = {
    "duplicates": {
        "above instead of at least the threshold": (NEAR, "near = overlaps > threshold"),
        "the threshold is always 0.5": (NEAR, "near = overlaps >= 0.5"),
        "classes are ignored": (OWN, "own = torch.ones(overlaps.shape, dtype=torch.bool)"),
        "another class is enough": (
            OWN,
            "own = torch.ones(overlaps.shape, dtype=torch.bool) & (labels[:, None] != 0)",
        ),
        "an object is never used up": (FREE, "free = fits"),
        "takes the first free object": (BEST, "free.int().argmax()"),
        "takes the worst free object": (BEST, "torch.where(free, overlaps[d], 2.0).argmin()"),
        "takes the best object of any class": (BEST, "overlaps[d].argmax()"),
        "takes the best object, free or not": (
            BEST,
            "torch.where(fits, overlaps[d], -1.0).argmax()",
        ),
        "takes all that it overlaps": (
            f"taken[{BEST}] = True",
            "taken |= free",
        ),
        "classification errors are duplicates": (DUPLICATE, "result[d] = fits.any()"),
        "everything that takes nothing": (DUPLICATE, "result[d] = True"),
        "marks true positives": (
            "    return result\n",
            "    return ~result\n",
        ),
        "the best fit takes the object": (
            "    for d in range(len(labels)):",
            "    for d in overlaps.amax(dim=1).argsort(descending=True).tolist():",
        ),
        "from the lowest score": (
            "    for d in range(len(labels)):",
            "    for d in reversed(range(len(labels))):",
        ),
        "returns numbers": ("    return result\n", "    return result.nonzero().flatten()\n"),
        "returns integers": ("    return result\n", "    return result.long()\n"),
        "localisation counts as well": (
            "fits.any() and not",
            "(own[d] & (overlaps[d] >= 0.1)).any() and not",
        ),
        "another class decides first": (
            "        if free.any():",
            "        if (near[d] & ~own[d]).any():\n            continue\n        if free.any():",
        ),
        "fails without objects": (
            "    near =",
            "    overlaps.max(dim=1)\n    near =",
        ),
    },
    "touching": {
        "classes are ignored": (ALIKE, "[j for j in range(len(labels)) if j != i]"),
        "only other classes": (ALIKE, ALIKE.replace("==", "!=")),
        "an object touches itself": (
            ALIKE,
            "[j for j in range(len(labels)) if labels[j] == labels[i]]",
        ),
        "only later objects": (ALIKE, ALIKE.replace("j != i", "j > i")),
        "only overlap counts": (GROWN, "masks[i]"),
        "the gap is always 1": (
            GROWN,
            "F.max_pool2d(masks[i][None].float(), 3, stride=1, padding=1)[0] > 0",
        ),
        "one pixel too far": ("side = 2 * gap + 1", "gap, side = gap + 1, 2 * gap + 3"),
        "both masks grow": (
            "(grown & masks[j]).any()",
            "(grown & (F.max_pool2d(masks[j][None].float(), side, 1, gap)[0] > 0)).any()",
        ),
        "only rows": (
            GROWN,
            "F.max_pool2d(masks[i][None].float(), (1, side), 1, (0, gap))[0] > 0",
        ),
        "only columns": (
            GROWN,
            "F.max_pool2d(masks[i][None].float(), (side, 1), 1, (gap, 0))[0] > 0",
        ),
        "no diagonals": (
            GROWN,
            "(F.max_pool2d(masks[i][None].float(), (1, side), 1, (0, gap))"
            " + F.max_pool2d(masks[i][None].float(), (side, 1), 1, (gap, 0)))[0] > 0",
        ),
        "steps along rows and columns": (
            "        for i in range(len(labels)):\n            side = 2 * gap + 1\n"
            f"            grown = {GROWN}",
            "        for i in range(len(labels)):\n            grown = masks[i]\n"
            "            for _ in range(gap):\n"
            "                g = grown[None].float()\n"
            "                grown = (F.max_pool2d(g, (1, 3), 1, (0, 1))"
            " + F.max_pool2d(g, (3, 1), 1, (1, 0)))[0] > 0",
        ),
        "the groups are exchanged": (
            GROUP,
            GROUP.replace("0 if", "1 if")
            .replace("1 if any", "1 if any")
            .replace("else 1", "else 0"),
        ),
        "divides by all objects": (DIVIDED, DIVIDED.replace("f / n", "f / sum(count_of)")),
        "all masks grow at once, even if there are none": (
            "    for masks, labels, found in images:\n",
            "    for masks, labels, found in images:\n"
            "        F.max_pool2d(masks.float(), 3, stride=1, padding=1)\n",
        ),
        "an empty group has 0": (DIVIDED, DIVIDED.replace("math.nan", "0.0")),
        "an empty group has 1": (DIVIDED, DIVIDED.replace("math.nan", "1.0")),
        "an empty group divides by 0": (DIVIDED, DIVIDED.replace(" if n else math.nan", "")),
        "the mean over the images": ("\n    found_of, count_of = [0, 0], [0, 0]", MEANS),
        "only the last image": (
            "    for masks, labels, found in images:\n",
            "    for masks, labels, found in images[-1:]:\n",
        ),
        "counts what is missed": ("int(found[i])", "int(not found[i])"),
        "found objects only are neighbours": (
            ALIKE,
            ALIKE.replace("j != i", "j != i and found[j]"),
        ),
        "returns one number": ("    return touching, others\n", "    return touching\n"),
        "returns the difference as well": (
            "    return touching, others\n",
            "    return touching, others, touching - others\n",
        ),
    },
}
