"""The desk: conversations and who owns them, the queue, the agents, mail coming in and going out, and the agents' console.

A conversation is a row with its present owner and a list of numbered events. The functions here work inside the caller's
transaction and know nothing of HTTP, Rasa or mail servers.
"""

from desk.agents import add_agent, agent_by_id, count_agents, log_in
from desk.conversations import (
    BOT_TURN,
    QUEUE_TOPIC,
    Promise,
    UnknownConversation,
    add_bot_replies,
    answer,
    append,
    claim_conversation,
    close,
    conversation_topic,
    escalate,
    events_after,
    identify,
    load,
    may_enter,
    open_chat,
    post_message,
    queue,
    queue_position,
    release,
)
from desk.hours import OpeningHours, make_promise
from desk.mailbox import READ_MAIL, SEND_MAIL, FiledMail, file_mail, latest_mail, mark_sent, receive, send_answer
from desk.tables import Actor, Agent, Channel, Conversation, Event, EventKind, InboundMail, OutboundMail, Owner

__all__ = [
    "BOT_TURN",
    "QUEUE_TOPIC",
    "READ_MAIL",
    "SEND_MAIL",
    "Actor",
    "Agent",
    "Channel",
    "Conversation",
    "Event",
    "EventKind",
    "FiledMail",
    "InboundMail",
    "OpeningHours",
    "OutboundMail",
    "Owner",
    "Promise",
    "UnknownConversation",
    "add_agent",
    "add_bot_replies",
    "agent_by_id",
    "answer",
    "append",
    "claim_conversation",
    "close",
    "conversation_topic",
    "count_agents",
    "escalate",
    "events_after",
    "file_mail",
    "identify",
    "latest_mail",
    "load",
    "log_in",
    "make_promise",
    "mark_sent",
    "may_enter",
    "open_chat",
    "post_message",
    "queue",
    "queue_position",
    "receive",
    "release",
    "send_answer",
]
