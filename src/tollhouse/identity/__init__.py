"""Who signs in: users, passwords, sessions, links in e-mails, form tokens, throttles."""

from tollhouse.identity.desk import IdentityDesk, open_desk
from tollhouse.identity.model import NewSession, Session, SessionView, User, Visitor

__all__ = ["IdentityDesk", "NewSession", "Session", "SessionView", "User", "Visitor", "open_desk"]
