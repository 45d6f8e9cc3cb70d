"""Wrong solutions of assignment 11: PolarMask."""

SHARED = "torch.minimum(predicted, true) ** power"
JOINT = "torch.maximum(predicted, true) ** power"
RATIO = "return shared.sum(dim=1) / joint.sum(dim=1)"
EACH = "-polar_iou(predicted, true, power).log()"
CENTERNESS = "(true.amin(dim=1) / true.amax(dim=1)).sqrt()"
WEIGHTED = "(each * centerness).sum() / centerness.sum().clamp(min=1e-6)"
DIRECTION = "torch.stack([angle.sin(), angle.cos()], dim=1)[:, None]"
EDGE = "corners.roll(-1, 0) - corners"
MEETS = "(steep.abs() >= 1e-6) & (t >= 0) & (s >= -1e-5) & (s <= 1 + 1e-5)"
FARTHEST = "torch.where(meets, t, 0.0).amax(dim=1)"
ANGLE = "torch.atan2(dx, dy) % (2 * math.pi)"
NEXT = "(k + 1) % n"
LINE = "a * b * math.sin(step) / (a * beyond.sin() + b * (step - beyond).sin())"
INSIDE = "torch.hypot(dx, dy) <= line + 1e-4"

WRONG = {
    "loss": {
        "the mean of each ray's ratio": (
            RATIO,
            "return (shared / joint).mean(dim=1)",
        ),
        "smaller and larger exchanged": (RATIO, "return joint.sum(dim=1) / shared.sum(dim=1)"),
        "predicted over true": (
            RATIO,
            "return (predicted**power).sum(dim=1) / (true**power).sum(dim=1)",
        ),
        "shared over the true area": (JOINT, "true ** power"),
        "shared over the predicted area": (JOINT, "predicted ** power"),
        "ignores the exponent": (f"{SHARED}", "torch.minimum(predicted, true)"),
        "always squared": (
            f"shared = {SHARED}\n    joint = {JOINT}",
            "shared = torch.minimum(predicted, true) ** 2\n"
            "    joint = torch.maximum(predicted, true) ** 2",
        ),
        "the exponent after the sum": (
            f"shared = {SHARED}\n    joint = {JOINT}\n    {RATIO}",
            "shared = torch.minimum(predicted, true).sum(dim=1)\n"
            "    return (shared / torch.maximum(predicted, true).sum(dim=1)) ** power",
        ),
        "one number for all shapes": (RATIO, "return shared.sum() / joint.sum()"),
        "sums over the shapes": (RATIO, "return shared.sum(dim=0) / joint.sum(dim=0)"),
        "intersection plus union": (
            RATIO,
            "return shared.sum(dim=1) / (joint.sum(dim=1) + shared.sum(dim=1))",
        ),
        "no minus sign": (EACH, "polar_iou(predicted, true, power).log()"),
        "one minus IoU": (EACH, "1 - polar_iou(predicted, true, power)"),
        "does not pass the exponent on": (EACH, "-polar_iou(predicted, true).log()"),
        "the plain mean": (f"return {WEIGHTED}", "return each.sum() / max(1, len(each))"),
        "weighted, divided by the count": (
            f"return {WEIGHTED}",
            "return (each * centerness).sum() / max(1, len(each))",
        ),
        "weighted, not divided": (f"return {WEIGHTED}", "return (each * centerness).sum()"),
        "centerness of the predicted rays": (
            CENTERNESS,
            "(predicted.amin(dim=1) / predicted.amax(dim=1)).sqrt()",
        ),
        "centerness without the root": (CENTERNESS, "true.amin(dim=1) / true.amax(dim=1)"),
        "nan without places": (".clamp(min=1e-6)", ""),
        "without a gradient": (f"return {WEIGHTED}", f"return ({WEIGHTED}).detach()"),
        "one loss for each place": (f"return {WEIGHTED}", "return each * centerness"),
        "returns float64": (f"return {WEIGHTED}", f"return ({WEIGHTED}).double()"),
    },
    "exact": {
        "0° points to the right": (
            DIRECTION,
            "torch.stack([angle.cos(), angle.sin()], dim=1)[:, None]",
        ),
        "0° points up": (DIRECTION, "torch.stack([angle.sin(), -angle.cos()], dim=1)[:, None]"),
        "90° points to the left": (
            DIRECTION,
            "torch.stack([-angle.sin(), angle.cos()], dim=1)[:, None]",
        ),
        "degrees instead of radians": ("(2 * math.pi / n)", "(360 / n)"),
        "a step too small": ("(2 * math.pi / n)", "(2 * math.pi / (n + 1))"),
        "half of the circle": ("(2 * math.pi / n)", "(math.pi / n)"),
        "the last edge is left out": (
            f"edge, start = {EDGE}, corners - centre",
            "edge, start = corners[1:] - corners[:-1], corners[:-1] - centre",
        ),
        "edges from the wrong corner": (EDGE, "corners - corners.roll(-1, 0)"),
        "the nearest crossing": (
            f"return {FARTHEST}",
            "nearest = torch.where(meets, t, torch.inf).amin(dim=1)\n"
            "    return torch.where(nearest.isinf(), 0.0, nearest)",
        ),
        "the mean of the crossings": (
            f"return {FARTHEST}",
            "return torch.where(meets, t, 0.0).sum(dim=1) / meets.sum(dim=1).clamp(min=1)",
        ),
        "looks backwards, too": (
            MEETS,
            "(steep.abs() >= 1e-6) & (s >= -1e-5) & (s <= 1 + 1e-5)\n    t = t.abs()",
        ),
        "edges without an end": (MEETS, "(steep.abs() >= 1e-6) & (t >= 0) & (s >= -1e-5)"),
        "lines instead of edges": (MEETS, "(steep.abs() >= 1e-6) & (t >= 0)"),
        "behind the start, too": (
            MEETS,
            "(steep.abs() >= 1e-6) & (s >= -1e-5) & (s <= 1 + 1e-5)",
        ),
        "rays slip through between edges": (
            MEETS,
            "(steep.abs() >= 1e-6) & (t >= 0) & (s >= 0) & (s <= 1)",
        ),
        "the smallest, with 0 for no crossing": (
            FARTHEST,
            "torch.where(meets, t, 0.0).amin(dim=1)",
        ),
        "s and t exchanged": (
            "t, s = cross(start, edge) / safe, cross(start, direction) / safe",
            "s, t = cross(start, edge) / safe, cross(start, direction) / safe",
        ),
        "corners not seen from the centre": (f"{EDGE}, corners - centre", f"{EDGE}, corners"),
        "one where there is no crossing": (FARTHEST, "torch.where(meets, t, 1.0).amax(dim=1)"),
        "only the distances to the corners": (
            f"return {FARTHEST}",
            "return start.norm(dim=1).amax().expand(n)",
        ),
        "multiplies infinity by 0": (FARTHEST, "(cross(start, edge) / steep * meets).amax(dim=1)"),
        "returns the crossings of all edges": (FARTHEST, "torch.where(meets, t, 0.0)"),
        "returns float64": (f"return {FARTHEST}", f"return {FARTHEST}.double()"),
    },
    "masks": {
        "0° points to the right": (ANGLE, "torch.atan2(dy, dx) % (2 * math.pi)"),
        "0° points up": (ANGLE, "torch.atan2(dx, -dy) % (2 * math.pi)"),
        "90° points to the left": (ANGLE, "torch.atan2(-dx, dy) % (2 * math.pi)"),
        "negative angles": (ANGLE, "torch.atan2(dx, dy).clamp(min=0)"),
        "angles below zero": (ANGLE, "torch.atan2(dx, dy)"),
        "no tolerance on the line": (INSIDE, "torch.hypot(dx, dy) <= line"),
        "the nearest ray decides": (
            f"line = {LINE}",
            "line = torch.where(beyond < step / 2, a, b)",
        ),
        "the ray before decides": (f"line = {LINE}", "line = a"),
        "the longer of the two rays": (f"line = {LINE}", "line = torch.maximum(a, b)"),
        "linear in the angle, not in the plane": (
            f"line = {LINE}",
            "line = a + (b - a) * beyond / step",
        ),
        "a and b exchanged": (
            LINE,
            "a * b * math.sin(step) / (b * beyond.sin() + a * (step - beyond).sin())",
        ),
        "the previous ray instead of the next": (NEXT, "(k - 1) % n"),
        "no way from the last ray to the first": (NEXT, "(k + 1).clamp(max=n - 1)"),
        "rounds to the nearest ray": (
            "k = (angle / step).long()",
            "k = (angle / step).round().long()",
        ),
        "half a pixel more": (INSIDE, "torch.hypot(dx, dy) <= line + 0.5"),
        "outside instead of inside": (INSIDE, "torch.hypot(dx, dy) > line + 1e-4"),
        "the boundary does not belong": (INSIDE, "torch.hypot(dx, dy) < line - 1e-4"),
        "squared distances": (INSIDE, "dx**2 + dy**2 <= line + 1e-4"),
        "city-block distances": (INSIDE, "dx.abs() + dy.abs() <= line + 1e-4"),
        "height and width exchanged": (
            "dx = torch.arange(size[1])",
            "size = size[::-1]\n    dx = torch.arange(size[1])",
        ),
        "x and y of the centre exchanged": (
            "n = distances.shape[1]",
            "n, centres = distances.shape[1], centres.flip(1)",
        ),
        "pixels end at their middles": (
            "torch.arange(size[1]) - centres[:, 0, None, None]",
            "torch.arange(size[1]) + 0.5 - centres[:, 0, None, None]",
        ),
        "one mask for all": (
            f"return {INSIDE}",
            f"return ({INSIDE}).any(dim=0, keepdim=True).expand(len(centres), *size)",
        ),
        "returns numbers": (f"return {INSIDE}", f"return ({INSIDE}).float()"),
    },
}
