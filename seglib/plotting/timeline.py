"""The papers of the course on a timeline, in lanes of related ideas."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from seglib.errors import SeglibError
from seglib.plotting.panels import Figure, figure
from seglib.plotting.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, ink_on, styled


@dataclass(frozen=True)
class Paper:
    """A paper: the name of its method, the year of its conference, and its lane."""

    name: str
    year: int
    lane: str


LANES: dict[str, str] = {
    "Features": GREY,
    "A class for each pixel": GREEN,
    "Find regions, then look": BLUE,
    "All at once": ORANGE,
    "Ask with queries": PURPLE,
}
PAPERS: tuple[Paper, ...] = (
    Paper("AlexNet", 2012, "Features"),
    Paper("VGG", 2015, "Features"),
    Paper("ResNet", 2016, "Features"),
    Paper("FPN", 2017, "Features"),
    Paper("FCN", 2015, "A class for each pixel"),
    Paper("R-CNN", 2014, "Find regions, then look"),
    Paper("DeepMask", 2015, "Find regions, then look"),
    Paper("Fast R-CNN", 2015, "Find regions, then look"),
    Paper("Faster R-CNN", 2015, "Find regions, then look"),
    Paper("Mask R-CNN", 2017, "Find regions, then look"),
    Paper("Cascade R-CNN", 2018, "Find regions, then look"),
    Paper("YOLACT", 2019, "All at once"),
    Paper("SOLO", 2020, "All at once"),
    Paper("PolarMask", 2020, "All at once"),
    Paper("DETR", 2020, "Ask with queries"),
    Paper("MaskFormer", 2021, "Ask with queries"),
    Paper("Mask2Former", 2022, "Ask with queries"),
)
LINE = 0.42  # height of one name
RULE = "The year is that of the conference; a preprint may have appeared a year earlier."


@styled
def timeline(
    highlight: str | Collection[str] = (),
    *,
    title: str = "From a convolution to masks by query",
    caption: str = "",
) -> Figure:
    """The papers by year and idea.

    Args:
        highlight: the names of papers to emphasise, such as the lesson's own.

    Raises:
        SeglibError: a highlighted name that is not on the timeline.
    """
    strong = {highlight} if isinstance(highlight, str) else set(highlight)
    unknown = strong - {paper.name for paper in PAPERS}
    if unknown:
        raise SeglibError(
            f"not on the timeline: {sorted(unknown)}; choose among {[p.name for p in PAPERS]}"
        )
    heights = {lane: LINE * _rows(lane) + 0.28 for lane in LANES}
    total = sum(heights.values())
    caption = f"{caption}\n{RULE}" if caption else RULE
    fig, grid = figure(panel=(10.0, 0.72 * total + 0.35), title=title, caption=caption)
    axes = grid[0, 0]
    top = 0.0
    for lane, shade in LANES.items():
        _draw_lane(axes, lane, shade, top, heights[lane], strong)
        top += heights[lane]
    years = list(_years())
    axes.set(xlim=(years[0] - 2.75, years[-1] + 0.75), ylim=(total, 0))
    axes.set_xticks(years, [str(year) for year in years])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    return fig


def _years() -> range:
    return range(min(p.year for p in PAPERS), max(p.year for p in PAPERS) + 1)


def _rows(lane: str) -> int:
    """Rows of a lane: papers of one year are stacked, long names of adjacent years alternate."""
    papers = [paper for paper in PAPERS if paper.lane == lane]
    stacked = max(sum(other.year == paper.year for other in papers) for paper in papers)
    close = any(
        a.year + 1 == b.year and len(a.name) + len(b.name) > 16 for a in papers for b in papers
    )
    return max(stacked, 2 if close else 1)


def _draw_lane(
    axes: Axes, lane: str, shade: str, top: float, height: float, strong: Collection[str]
) -> None:
    axes.axhspan(top + 0.03, top + height - 0.03, color=to_rgba(shade, 0.08), linewidth=0)
    middle = top + height / 2
    axes.text(_years()[0] - 2.7, middle, lane, va="center", fontweight="bold", color=_darker(shade))
    for year in _years():
        axes.plot([year, year], [top + 0.03, top + height - 0.03], color=PALE, lw=0.5, zorder=0.5)
        papers = [paper for paper in PAPERS if paper.lane == lane and paper.year == year]
        for i, paper in enumerate(papers):
            y = middle + (i - (len(papers) - 1) / 2) * LINE
            if len(papers) == 1 and _rows(lane) > 1:
                y += LINE / 2 if year % 2 else -LINE / 2
            lit = not strong or paper.name in strong
            box = {
                "boxstyle": "round,pad=0.28",
                "facecolor": shade if paper.name in strong else "white",
                "edgecolor": shade if lit else PALE,
                "linewidth": 1.2,
            }
            axes.text(
                year,
                y,
                paper.name,
                ha="center",
                va="center",
                fontsize=8,
                bbox=box,
                color=ink_on(shade) if paper.name in strong else INK if lit else GREY,
                fontweight="bold" if lit and strong else "normal",
            )


def _darker(shade: str) -> tuple[float, float, float]:
    """The colour, dark enough for text on its pale lane."""
    red, green, blue, _ = to_rgba(shade)
    return 0.62 * red, 0.62 * green, 0.62 * blue
