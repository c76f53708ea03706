"""What the people of each preset's demo have done so far: told once, lived by `history.py`."""

import msgspec

from tollhouse.cli.demo.home import USER_EMAIL

NEAR_EMAIL = "near-the-limit@example.com"
PAYING_EMAIL = "paying@example.com"
PAST_DUE_EMAIL = "past-due@example.com"

NAMES = {
    USER_EMAIL: "Demo user",
    NEAR_EMAIL: "Near the limit",
    PAYING_EMAIL: "Paying customer",
    PAST_DUE_EMAIL: "Past due",
}
"""They are called by what they show."""


class Deed(msgspec.Struct, frozen=True):
    """`times` actions (or launches of a tool), begun so many days ago, one after another."""

    days_ago: float
    what: str
    times: int = 1


class Story(msgspec.Struct, frozen=True):
    """The deeds of each person, and what those who buy do with their new plan."""

    deeds: dict[str, tuple[Deed, ...]]
    afterwards: tuple[str, ...]


STORIES: dict[str, Story] = {
    "aurion": Story(
        {
            USER_EMAIL: (Deed(6, "text-editor"), Deed(2.2, "text-editor")),
            NEAR_EMAIL: (
                Deed(9, "website-builder"),
                Deed(5, "agent-ai"),
                Deed(3.1, "image-generator", 2),
                Deed(1, "text-editor"),
            ),
            PAYING_EMAIL: (Deed(12, "app-builder"), Deed(11.4, "text-editor", 4), Deed(2.5, "image-generator", 2)),
            PAST_DUE_EMAIL: (Deed(15, "image-generator", 3), Deed(4, "generate_image", 5)),
        },
        ("launch_tool_app-builder", "launch_tool_image-generator", "chat"),
    ),
    "aigate": Story(
        {
            USER_EMAIL: (Deed(5, "realtime_session", 9), Deed(1.3, "realtime_session", 3)),
            NEAR_EMAIL: (
                Deed(9, "realtime_session", 40),
                Deed(5, "realtime_session", 35),
                Deed(1.5, "realtime_session", 20),
            ),
            PAYING_EMAIL: (Deed(12, "realtime_session", 24), Deed(3, "realtime_session", 18)),
            PAST_DUE_EMAIL: (Deed(8, "realtime_session", 15),),
        },
        ("api_request", "api_request"),
    ),
    "upiik": Story(
        {
            USER_EMAIL: (Deed(4, "search", 3), Deed(2, "deal-finder")),
            NEAR_EMAIL: (Deed(4, "city-guide"), Deed(2.5, "deal-finder"), Deed(1, "ask_assistant", 3)),
            PAYING_EMAIL: (Deed(7, "search", 6), Deed(6.5, "deal-finder", 2)),
            PAST_DUE_EMAIL: (Deed(10, "search", 4), Deed(9, "city-guide")),
        },
        ("launch_tool_city-guide", "search", "ask_assistant"),
    ),
    "luneo": Story(
        {
            USER_EMAIL: (Deed(3, "design-studio"), Deed(1.5, "render_2d", 2)),
            NEAR_EMAIL: (Deed(6, "virtual-try-on"), Deed(3, "configurator-3d"), Deed(1, "design-studio")),
            PAYING_EMAIL: (Deed(9, "design-studio", 2), Deed(8, "render_3d", 2)),
            PAST_DUE_EMAIL: (Deed(11, "generate_image", 4),),
        },
        ("generate_design", "render_2d"),
    ),
}
