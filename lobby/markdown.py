"""Markdown of models as HTML that is safe to show: no HTML of theirs, no image, no address but web and mail.

markdown-it-py (HTML off) → Pygments (classes, no styles) → nh3, always last, which lets nothing through but this list.
"""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from html import escape
from io import StringIO

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, _TokenType

Coloured = tuple[_TokenType, str]

MOST_HIGHLIGHTED = 200_000  # characters of code; more is shown in one colour
LONGEST_LINE = 1_000  # characters; searching longer ones can take seconds, and nobody reads them
DEEPEST = 30  # quotes, lists and brackets in one another; the time that nonsense takes grows with it
LONGEST_SEARCH = 2.0  # seconds of CPU for one piece of code
# A lexer is regular expressions that hold a process up while they search; these are widely used and well behaved.
LANGUAGES = """
    bash c c++ c# clojure cmake console cpp csharp css dart diff docker dockerfile elixir erlang fortran go golang
    graphql groovy haskell html http ini java javascript js json jsx julia kotlin latex lua markdown md nginx
    nix objective-c objectivec ocaml perl php powershell protobuf ps1 py pycon python python3 r rb rs ruby rust scala
    sh shell sql swift terraform tex toml ts tsx typescript xml yaml yml zig zsh
"""
HIGHLIGHTED = frozenset(LANGUAGES.split())
SCHEMES = {"http", "https", "mailto"}
ADDRESS = re.compile(r"(?:https?://|mailto:)\S", re.IGNORECASE)
LANGUAGE = re.compile(r"[\w+#.-]{1,30}", re.ASCII)
TOKEN_CLASSES = set(filter(None, STANDARD_TYPES.values()))
CLASSES = {
    "div": {"code", "code-header"},
    "span": TOKEN_CLASSES | {"code-language"},
    "th": {"align-left", "align-center", "align-right"},
    "td": {"align-left", "align-center", "align-right"},
}
HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
TAGS = {"a", "blockquote", "br", "em", "hr", "li", "ol", "p", "s", "strong", "ul"} | HEADINGS | TABLES
TAGS |= {"code", "div", "pre", "span"}  # of code
ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "code": {"class"}, **{tag: {"class"} for tag in CLASSES}}


class Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:  # the library's name
        return bool(ADDRESS.match(url))


def render(text: str) -> SafeString:
    dirty = _markdown().render(text)
    clean = nh3.clean(
        dirty,
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_keep,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return mark_safe(clean)  # noqa: S308  (what nh3 let through)


def _keep(tag: str, attribute: str, value: str) -> str | None:
    match tag, attribute:
        case "a", "href":
            return value if ADDRESS.match(value) else None
        case "a", "target" | "rel":
            return value
        case "code", "class":
            return value if LANGUAGE.fullmatch(value.removeprefix("language-")) else None
        case "ol", "start":
            return value if value.isdecimal() else None
        case _, "class":
            return value if value in CLASSES.get(tag, ()) else None
        case _:
            return None


@cache
def _markdown() -> MarkdownIt:
    markdown = Markdown("commonmark", {"html": False, "maxNesting": DEEPEST}).enable(["table", "strikethrough"])
    markdown.use(gfm_autolink_plugin)
    markdown.core.ruler.push("image_in_link", _note_images_in_links)
    markdown.add_render_rule("image", _image)
    markdown.add_render_rule("fence", _code)
    markdown.add_render_rule("code_block", _code)
    markdown.add_render_rule("th_open", _cell)
    markdown.add_render_rule("td_open", _cell)
    return markdown


def _note_images_in_links(state: StateCore) -> None:
    for token in state.tokens:
        linked = False
        for child in token.children or ():
            linked = child.type == "link_open" or (linked and child.type != "link_close")
            if linked and child.type == "image":
                child.meta["linked"] = True


def _image(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """Nothing is loaded from other sites: an image becomes a link."""
    token = tokens[index]
    words = escape(f"image: {renderer.renderInlineAsText(token.children, options, env) or 'without words'}")
    return words if "linked" in token.meta else f'<a href="{escape(str(token.attrs["src"]))}">{words}</a>'


def _cell(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    """The column's alignment as a class: styles are forbidden by the page's policy."""
    token = tokens[index]
    _, _, side = str(token.attrs.get("style", "")).partition("text-align:")
    return f'<{token.tag} class="align-{side}">' if side else f"<{token.tag}>"


def _code(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    code, language = tokens[index].content, _language(tokens[index].info)
    label = f'<span class="code-language">{escape(language)}</span>'
    marked = f' class="language-{escape(language)}"' if language else ""
    inside = _highlight(code, language)
    return f'<div class="code"><div class="code-header">{label}</div><pre><code{marked}>{inside}</code></pre></div>\n'


def _language(info: str) -> str:
    word = info.split(maxsplit=1)[0].lower() if info.strip() else ""
    return word if LANGUAGE.fullmatch(word) else ""


def _highlight(code: str, language: str) -> str:
    if language not in HIGHLIGHTED or len(code) > MOST_HIGHLIGHTED or max(map(len, code.split("\n"))) > LONGEST_LINE:
        return escape(code)
    # A new lexer each time: some keep their place in themselves, and rendering happens in threads.
    lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    html = StringIO()
    try:
        _formatter().format(_in_time(lexer.get_tokens(code)), html)
    except TimeoutError:
        return escape(code)
    return html.getvalue()


def _in_time(tokens: Iterable[Coloured]) -> Iterator[Coloured]:
    """Raises TimeoutError when searching took longer than real code ever does: some nonsense takes minutes."""
    began = time.thread_time()
    for token in tokens:
        yield token
        if time.thread_time() - began > LONGEST_SEARCH:
            raise TimeoutError


@cache
def _formatter() -> HtmlFormatter[str]:
    return HtmlFormatter(nowrap=True)
