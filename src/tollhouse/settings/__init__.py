"""What an installation is told: tollhouse.toml with line positions and the environment, typed and checked.

Every default and every secret is named in `table.py`. The front door is `load_settings`.
"""

from tollhouse.settings.load import Purpose, load_settings, read_settings
from tollhouse.settings.model import (
    LOCAL_ENVIRONMENTS,
    AdmissionSettings,
    HookSettings,
    MailSettings,
    MonitoringSettings,
    ServerSettings,
    Settings,
    StripeSettings,
    WebSettings,
)
from tollhouse.settings.problems import ConfigurationProblems, Problem
from tollhouse.settings.secret import Secret
from tollhouse.settings.table import SETTINGS, Setting

__all__ = [
    "LOCAL_ENVIRONMENTS",
    "SETTINGS",
    "AdmissionSettings",
    "ConfigurationProblems",
    "HookSettings",
    "MailSettings",
    "MonitoringSettings",
    "Problem",
    "Purpose",
    "Secret",
    "ServerSettings",
    "Setting",
    "Settings",
    "StripeSettings",
    "WebSettings",
    "load_settings",
    "read_settings",
]
