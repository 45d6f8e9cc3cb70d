"""Wrong solutions of assignment 03: from CNN to backbone and pyramid."""

FIELD = "field += dilation * (kernel - 1) * jump"
START = "start -= padding * jump"
LOOP = "for kernel, stride, padding, dilation in layers:"
BATCH_VAR = "x.mean(dim=axes), x.var(dim=axes, correction=0)"
MOVE_MEAN = "running_mean += momentum * (mean - running_mean)"
MOVE_VAR = "running_var += momentum * (var * n / (n - 1) - running_var)"
ROOT = "(var.view(shape) + eps).sqrt()"
FIRST = "F.relu(norm1(conv1(x)))"
SECOND = "out = norm2(conv2(out))"
SUM = "F.relu(out + (x if downsample is None else downsample(x)))"
ROWS = "torch.arange(height) * x.shape[2] // height"
COLUMNS = "torch.arange(width) * x.shape[3] // width"
TOTAL = "total = own + enlarge(total, own.shape[2], own.shape[3])"
SCALE = "norm.weight / (norm.running_var + norm.eps).sqrt()"
FOLDED_BIAS = "(bias - norm.running_mean) * scale + norm.bias"

WRONG = {
    "field": {
        "counts steps of the kernel as pixels": (FIELD, "field += dilation * (kernel - 1)"),
        "a layer's own stride counts at once": (
            "        jump *= stride\n",
            "",
        ),
        "the stride before the field": (
            f"{FIELD}\n        {START}\n        jump *= stride",
            f"jump *= stride\n        {FIELD}\n        {START}",
        ),
        "ignores dilation": (FIELD, "field += (kernel - 1) * jump"),
        "the kernel's side, not its reach": (FIELD, "field += dilation * kernel * jump"),
        "padding in pixels": (START, "start -= padding"),
        "padding to the right": (START, "start += padding * jump"),
        "forgets the start": (START, "pass"),
        "the last layer first": (LOOP, LOOP.replace("layers:", "reversed(layers):")),
        "padding is dilated": (START, "start -= padding * dilation * jump"),
        "strides add up": ("jump *= stride", "jump += stride - 1"),
        "returns start before jump": ("return field, jump, start", "return field, start, jump"),
    },
    "norm": {
        "divides by n - 1": ("correction=0", "correction=1"),
        "the running variance is divided by n": ("var * n / (n - 1) - running", "var - running"),
        "the running statistics do not move": (
            f"                {MOVE_MEAN}\n                {MOVE_VAR}\n",
            "                pass\n",
        ),
        "moves new tensors, not the layer's": (
            MOVE_MEAN,
            "running_mean = running_mean + momentum * (mean - running_mean)",
        ),
        "momentum is the share that stays": (
            f"{MOVE_MEAN}\n                {MOVE_VAR}",
            "running_mean += (1 - momentum) * (mean - running_mean)\n"
            "                running_var += (1 - momentum) * (var * n / (n - 1) - running_var)",
        ),
        "the momentum is always 0.1": (
            "        axes = ",
            "        momentum = 0.1\n        axes = ",
        ),
        "moves the statistics in evaluation too": (
            "    mean, var = running_mean, running_var\n",
            "    mean, var = running_mean, running_var\n"
            "    if running_mean is not None and not training:\n"
            "        running_mean += momentum * x.mean()\n",
        ),
        "always the batch's statistics": ("if training:", "if True:"),
        "always the running statistics": ("if training:", "if False:"),
        "one mean for all channels": (
            "if axis != 1]",
            "]",
        ),
        "statistics of each image": ("if axis != 1]", "if axis > 1]"),
        "divides by the variance": (ROOT, "(var.view(shape) + eps)"),
        "eps outside the root": (ROOT, "(var.view(shape).sqrt() + eps)"),
        "forgets eps": (ROOT, "var.view(shape).sqrt()"),
        "shifts before scaling": (
            "y = y if weight is None else y * weight.view(shape)\n"
            "    return y if bias is None else y + bias.view(shape)",
            "y = y if bias is None else y + bias.view(shape)\n"
            "    return y if weight is None else y * weight.view(shape)",
        ),
        "fails without scale": (
            "y if weight is None else y * weight.view(shape)",
            "y * weight.view(shape)",
        ),
        "fails without running statistics": ("if running_mean is not None:", "if True:"),
        "images only": ("shape = [1, -1] + [1] * (x.ndim - 2)", "shape = [1, -1, 1, 1]"),
        "statistics carry gradients": ("with torch.no_grad():", "if True:"),
        "no gradient through mean and variance": (
            BATCH_VAR,
            "x.mean(dim=axes).detach(), x.var(dim=axes, correction=0).detach()",
        ),
    },
    "block": {
        "no shortcut": (SUM, "F.relu(out)"),
        "no ReLU after the sum": (SUM, SUM.removeprefix("F.relu")),
        "ReLU before the sum": (SECOND, SECOND + "\n    out = F.relu(out)"),
        "no ReLU between the convolutions": (FIRST, "norm1(conv1(x))"),
        "ReLU before the first norm": (FIRST, "norm1(F.relu(conv1(x)))"),
        "first norm before its convolution": (FIRST, "F.relu(conv1(norm1(x)))"),
        "second norm before its convolution": (SECOND, "out = conv2(norm2(out))"),
        "second norm after the sum": (
            f"{SECOND}\n    return {SUM}",
            "out = conv2(out) + (x if downsample is None else downsample(x))\n"
            "    return F.relu(norm2(out))",
        ),
        "ignores downsample": ("(x if downsample is None else downsample(x))", "x"),
        "downsample acts on the sum": (
            SUM,
            "F.relu(out + x if downsample is None else downsample(out + x))",
        ),
        "changes its input": (
            f"return {SUM}",
            "if downsample is None:\n        x += out\n        return F.relu(x)\n"
            "    return F.relu(out + downsample(x))",
        ),
        "the first norm twice": (SECOND, "out = norm1(conv2(out))"),
        "adds the shortcut twice": (SUM, SUM.replace("out + ", "out + x + ")),
    },
    "pyramid": {
        "adds the map above after its 3 × 3 convolution": (
            "results.insert(0, output[level](total))",
            "total = output[level](total)\n        results.insert(0, total)",
        ),
        "the coarsest 3 × 3 convolution goes down too": (
            "results = [output[-1](total)]",
            "total = output[-1](total)\n    results = [total]",
        ),
        "no 3 × 3 convolution on the coarsest map": ("[output[-1](total)]", "[total]"),
        "3 × 3 convolution on the coarsest map only": ("output[level](total))", "total)"),
        "coarsest first": (
            "results.insert(0, output[level](total))",
            "results.append(output[level](total))",
        ),
        "laterals in the wrong order": ("lateral[level](", "lateral[-1 - level]("),
        "outputs in the wrong order": ("output[level](total)", "output[-1 - level](total)"),
        "only the next map goes down": (
            TOTAL,
            "above = lateral[level + 1](features[level + 1])\n"
            "        total = own + enlarge(above, own.shape[2], own.shape[3])",
        ),
        "forgets the lateral": ("lateral[level](features[level])", "features[level]"),
        "forgets the map's own lateral in the sum": (
            TOTAL,
            "total = enlarge(total, own.shape[2], own.shape[3])",
        ),
        "enlarges by two, whatever the size below": (
            "return x[:, :, rows][:, :, :, columns]",
            "return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)",
        ),
        "enlarges by two and cuts": (
            "return x[:, :, rows][:, :, :, columns]",
            "twice = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)\n"
            "        return twice[:, :, :height, :width]",
        ),
        "swaps height and width": (
            "enlarge(total, own.shape[2], own.shape[3])",
            "enlarge(total, own.shape[3], own.shape[2])",
        ),
        "rounds where it should floor": (
            ROWS,
            "(torch.arange(height) * x.shape[2] / height).round().long().clamp(max=x.shape[2] - 1)",
        ),
        "rows repeat the whole map instead of each cell": (
            ROWS,
            "torch.arange(height) % x.shape[2]",
        ),
        "two maps only": ("reversed(range(len(features) - 1))", "[0]"),
    },
    "fold": {
        "forgets the root": (SCALE, "norm.weight / (norm.running_var + norm.eps)"),
        "forgets eps": (SCALE, "norm.weight / norm.running_var.sqrt()"),
        "eps outside the root": (SCALE, "norm.weight / (norm.running_var.sqrt() + norm.eps)"),
        "forgets the norm's scale": (SCALE, "1 / (norm.running_var + norm.eps).sqrt()"),
        "the old bias bypasses the norm": (
            FOLDED_BIAS,
            "bias - norm.running_mean * scale + norm.bias",
        ),
        "adds the mean": (FOLDED_BIAS, "(bias + norm.running_mean) * scale + norm.bias"),
        "forgets the norm's shift": (FOLDED_BIAS, "(bias - norm.running_mean) * scale"),
        "scales the norm's shift": (FOLDED_BIAS, "(bias - norm.running_mean + norm.bias) * scale"),
        "forgets the old bias": (FOLDED_BIAS, "norm.bias - norm.running_mean * scale"),
        "fails without a bias": (
            "torch.zeros_like(norm.running_mean) if conv.bias is None else conv.bias",
            "conv.bias",
        ),
        "scales the input channels": (
            "scale[:, None, None, None]",
            "scale[: conv.weight.shape[1], None, None]",
        ),
        "scales along the kernel's columns": (
            "scale[:, None, None, None]",
            "scale[: conv.weight.shape[3]]",
        ),
        "changes the convolution in place": (
            "return conv.weight * scale",
            "conv.weight.data *= scale[:, None, None, None]\n    return conv.weight * scale",
        ),
        "returns (bias, weight)": (
            f"return conv.weight * scale[:, None, None, None], {FOLDED_BIAS}",
            f"return {FOLDED_BIAS}, conv.weight * scale[:, None, None, None]",
        ),
    },
}
