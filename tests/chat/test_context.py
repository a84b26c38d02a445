from typing import Any

import pytest

from agents.models import Agent, Host, Run
from chat import conversations, replies
from chat.context import GO_ON, ContextUse, build_prompt, meter, size_for
from chat.models import Conversation, Message
from tests.chat.engine import end
from tests.factories import MODEL, make_host, make_message

ASSISTANT = Message.Role.ASSISTANT
TURN = "x" * 4000  # estimated as 1,006 tokens


def make_turns(conversation: Conversation, number: int, *, text: str = TURN) -> Message:
    """So many questions with their answers, and a last question whose reply is to be written."""
    above = None
    for index in range(number):
        above = make_message(conversation, parent=above, text=f"{index}" + text[1:])
        above = make_message(conversation, parent=above, role=ASSISTANT, text=text)
    above = make_message(conversation, parent=above, text="And now?")
    return make_message(conversation, parent=above, role=ASSISTANT, text="", status=Message.Status.WRITING)


def test_a_prompt_that_fits_holds_everything(conversation: Conversation) -> None:
    prompt, trimmed = build_prompt(make_turns(conversation, 1, text="Yes?"))
    assert trimmed == 0
    assert [(message["role"], message["content"]) for message in prompt] == [
        ("system", "Be brief."),
        ("user", "0es?"),
        ("assistant", "Yes?"),
        ("user", "And now?"),
    ]


def test_the_oldest_turns_go_and_room_for_the_answer_stays(conversation: Conversation) -> None:
    # 4,096 tokens less 1,024 for the answer: three messages of 1,006 would fit, but they would begin with an answer
    prompt, trimmed = build_prompt(make_turns(conversation, 3))
    assert trimmed == 4
    assert [message["role"] for message in prompt] == ["system", "user", "assistant", "user"]
    assert prompt[1]["content"].startswith("2")


def test_the_system_prompt_and_the_question_are_never_left_out(conversation: Conversation) -> None:
    above = make_message(conversation, text=TURN)
    above = make_message(conversation, parent=above, role=ASSISTANT, text=TURN)
    question = make_message(conversation, parent=above, text=TURN * 10)
    reply = make_message(conversation, parent=question, role=ASSISTANT, text="")
    prompt, trimmed = build_prompt(reply)
    assert (trimmed, [message["role"] for message in prompt]) == (2, ["system", "user"])
    assert prompt[1]["content"] == TURN * 10


def test_replies_without_text_are_not_sent(conversation: Conversation) -> None:
    question = make_message(conversation, text="One?")
    failed = make_message(conversation, parent=question, role=ASSISTANT, text="", status=Message.Status.FAILED)
    again = make_message(conversation, parent=failed, text="Two?")
    prompt, _ = build_prompt(make_message(conversation, parent=again, role=ASSISTANT, text=""))
    assert [message["content"] for message in prompt] == ["Be brief.", "One?", "Two?"]


def test_an_agent_without_system_prompt_sends_none(conversation: Conversation, agent: Agent) -> None:
    Agent.objects.update(system_prompt="")
    reply = Message.objects.select_related("agent").get(pk=make_turns(conversation, 0).pk)
    assert build_prompt(reply) == ([{"role": "user", "content": "And now?"}], 0)


def test_a_reply_that_goes_on_is_kept_with_its_question(conversation: Conversation) -> None:
    reply = make_turns(conversation, 3)
    reply.text = "It is"
    prompt, _ = build_prompt(reply)
    assert [message["content"] for message in prompt[-3:]] == ["And now?", "It is", GO_ON]


def test_what_the_server_counted_scales_the_estimate(conversation: Conversation) -> None:
    _, first = replies.ask(conversation=conversation, text=TURN)  # estimated with its system prompt as 1,015 tokens
    end(first, text=TURN, prompt_tokens=2030, output_tokens=2000)
    _, second = replies.ask(conversation=conversation, text="And now?")
    assert second.trimmed == 2


def test_a_small_count_does_not_scale_the_estimate(conversation: Conversation) -> None:
    _, first = replies.ask(conversation=conversation, text="Hi")
    end(first, text=TURN * 2, prompt_tokens=199, output_tokens=2000)  # forty times what was estimated
    _, second = replies.ask(conversation=conversation, text="And now?")
    assert second.trimmed == 0


def refused_run(prompt: list[dict[str, Any]], **detail: int) -> Run:
    return Run(messages=prompt, error_kind="context_full", error_detail=detail)


def test_a_refusal_leaves_out_what_its_exact_figures_ask_for(conversation: Conversation, agent: Agent) -> None:
    agent.options = {"num_ctx": 8000}
    agent.save()
    reply = make_turns(conversation, 3)
    reply = Message.objects.select_related("agent").get(pk=reply.pk)
    prompt, trimmed = build_prompt(reply)
    assert trimmed == 0
    refused = refused_run(prompt, n_prompt_tokens=12_000, n_ctx=8000)  # twice the estimate: three messages fit
    again, trimmed = build_prompt(reply, refused=refused)
    assert (trimmed, len(again)) == (4, 4)


def test_a_refusal_leaves_out_something_whatever_the_figures_say(conversation: Conversation) -> None:
    reply = make_turns(conversation, 2, text="Yes?")
    prompt, _ = build_prompt(reply)
    _, trimmed = build_prompt(reply, refused=refused_run(prompt))
    assert trimmed == 2
    reply.trimmed = 2
    assert build_prompt(reply, refused=refused_run(prompt))[1] == 4


def test_the_size_is_the_agents_own_and_no_more_than_the_model_has(agent: Agent, host: Host) -> None:
    agent.options = {"num_ctx": 2048}
    assert size_for(agent, []) == 2048
    agent.options = {"num_ctx": 100_000}
    assert size_for(agent, []) == 8192


@pytest.mark.parametrize("nonsense", ["4096", 0, -1, None, 1.5])
def test_a_size_that_is_none_is_not_taken(agent: Agent, nonsense: object) -> None:
    agent.options = {"num_ctx": nonsense}
    assert size_for(agent, []) == 4096


def test_the_size_is_what_a_host_has_loaded_the_model_with(agent: Agent, host: Host) -> None:
    Host.objects.update(loaded={MODEL: 6000})
    make_host(loaded={MODEL: 2000})
    make_host(loaded={MODEL: 1000}, is_enabled=False)
    assert size_for(agent, []) == 2000
    agent.host = host
    assert size_for(agent, []) == 6000


def test_the_size_is_what_the_last_run_met(conversation: Conversation, agent: Agent) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.", context_length=3000)
    conversation.refresh_from_db()
    assert size_for(agent, conversations.thread(conversation)) == 3000


def test_without_any_host_the_size_is_ollamas_default(agent: Agent) -> None:
    Host.objects.all().delete()
    assert size_for(agent, []) == 4096


def test_the_meter_of_an_empty_conversation_is_at_zero(conversation: Conversation) -> None:
    assert meter(conversation) == ContextUse(used=0, size=4096)


def test_the_meter_shows_what_the_server_counted(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.", prompt_tokens=900, output_tokens=124, context_length=4096)
    conversation.refresh_from_db()
    use = meter(conversation)
    assert (use, use.percent) == (ContextUse(used=1024, size=4096), 25)
    assert meter(conversation, path=conversations.thread(conversation)) == use


def test_the_meter_estimates_what_came_since(conversation: Conversation) -> None:
    _, reply = replies.ask(conversation=conversation, text="One?")
    end(reply, text="Yes.", prompt_tokens=900, output_tokens=124)
    replies.ask(conversation=conversation, text="x" * 400)
    conversation.refresh_from_db()
    assert meter(conversation).used == 1024 + 106 + 6


def test_the_meter_of_the_end_looks_further_back_where_the_last_reply_broke_off(conversation: Conversation) -> None:
    _, first = replies.ask(conversation=conversation, text="One?")
    end(first, text="Yes.", prompt_tokens=900, output_tokens=124)
    _, second = replies.ask(conversation=conversation, text="x" * 400)
    end(second, status="failed", text="")
    conversation.refresh_from_db()
    whole = meter(conversation)
    assert whole.used > 1024
    assert meter(conversation, path=conversations.thread(conversation, last=2)) == whole


def test_the_meter_never_shows_more_than_all(conversation: Conversation) -> None:
    assert ContextUse(used=5000, size=4096).percent == 100
