# %% [markdown] id="title"
# # Assignment 90: boxes

# %% id="imports" nbgrader="locked"
import torch

# %% [markdown] id="area-text"
# ## Task 1: the area of a box (2 points)


# %% id="area" nbgrader="solution"
def area(box: torch.Tensor) -> torch.Tensor:
    """Area of [x0, y0, x1, y1] in square pixels."""
    ### BEGIN SOLUTION
    return (box[2] - box[0]) * (box[3] - box[1])
    ### END SOLUTION


# %% id="area-checks" nbgrader="checks" points=2
got = area(torch.tensor([1.0, 2.0, 4.0, 6.0]))
assert got == 12, f"a box 3 wide and 4 high has area 12, yours is {got}"
### BEGIN HIDDEN TESTS
for seed in range(3):
    w, h = torch.rand(2, generator=torch.Generator().manual_seed(seed))
    got = area(torch.stack([w * 0, h * 0, w, h]))
    assert torch.isclose(got, w * h), f"expected {w * h}, got {got}"
### END HIDDEN TESTS

# %% [markdown] id="centre-text"
# ## Task 2: the centre of a box (1 point)


# %% id="centre" nbgrader="solution"
def centre(box: torch.Tensor) -> torch.Tensor:
    """Centre (x, y) of [x0, y0, x1, y1]."""
    ### BEGIN SOLUTION
    return (box[:2] + box[2:]) / 2
    ### END SOLUTION


# %% id="centre-checks" nbgrader="checks" points=1
got = centre(torch.tensor([0.0, 2.0, 4.0, 6.0]))
assert got.tolist() == [2, 4], f"the centre of (0, 2, 4, 6) is (2, 4), yours is {got.tolist()}"
### BEGIN HIDDEN TESTS
got = centre(torch.tensor([-2.0, 0.0, 2.0, 1.0]))
assert got.tolist() == [0, 0.5], f"the centre of (-2, 0, 2, 1) is (0, 0.5), yours is {got.tolist()}"
### END HIDDEN TESTS
