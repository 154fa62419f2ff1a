"""Pieces of HTML that every part of the page is made of."""

from collections.abc import Iterable, Sequence

from potstill.text import in_html


class Html(str):
    """Text that is HTML; any other is escaped where it gets into a table."""

    __slots__ = ()


def name(i: int, label: str) -> Html:
    """A row's label behind its line and mark."""
    return Html(f'<span class="name"><span class="key" data-key="{i}"></span><span>{in_html(label)}</span></span>')


def table(head: Iterable[str], lines: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself where it is too wide."""
    heads = "".join(f'<th scope="col">{_html(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{_html(cell)}</td>' for cell in cells)}</tr>" for cells in lines)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def section(identity: str, title: str, content: str) -> str:
    """A part of the page under a heading."""
    return f'<section id="{identity}">\n<h2>{in_html(title)}</h2>\n{content}\n</section>'


def note(html: str) -> str:
    """What stands in small print below a chart."""
    return f'<p class="note">{html}</p>'


def _html(cell: str) -> str:
    return cell if isinstance(cell, Html) else in_html(cell)
