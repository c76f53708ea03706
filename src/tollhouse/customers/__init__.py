"""Sign-up, members, projects and keys: who the customers are, and how they are named."""

from tollhouse.customers.directory import Directory
from tollhouse.customers.keyring import KeyRing
from tollhouse.customers.model import Customer, NewCustomer, SignUp

__all__ = ["Customer", "Directory", "KeyRing", "NewCustomer", "SignUp"]
