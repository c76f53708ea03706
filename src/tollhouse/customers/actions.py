"""What makes customers and the people who own them, one function per use case.

Who owns a customer, and how nobody takes over another's (X1, X2):

* Signing up on the pages makes a user and a customer of its own, in one transaction. The user owns it at once; the
  address counts as proven once the link of the e-mail was used, and grants marked `verified_only` wait for that.
* A customer made by the product's server belongs to whoever reads its e-mail. Signing up with that address makes a user
  whose membership *waits*: nothing of the customer is seen or spent through it. The link of the e-mail confirms it only
  for somebody signed in as that user, so that the address's owner never confirms a stranger's password by a click. Who
  has lost or never had that password asks for a new one by e-mail, which proves the address too, replaces the password
  and ends every session opened with the old one.
* The product's server is believed: its customers count as verified. It may give its own `external_id` to a customer who
  signed up on the pages, or find that customer by the address alone, but only once the address is proven; before, it
  is told `email_taken`: otherwise a stranger who signed up with somebody's address would be given what is meant for them.
"""

from typing import cast

from tollhouse.catalog.model import Catalog
from tollhouse.customers import queries
from tollhouse.customers.model import (
    Created,
    Customer,
    MadeBy,
    NewCustomer,
    SignedUp,
    SignUp,
    Verified,
)
from tollhouse.customers.projects import add_default_project
from tollhouse.identity import actions as identity
from tollhouse.identity.desk import IdentityDesk
from tollhouse.identity.emails import known_locale, normal_email, plain_text
from tollhouse.identity.model import User, Visitor
from tollhouse.identity.passwords import check_new_password
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotAuthenticated, NotFound
from tollhouse.kernel.facts import CustomerCreated, MailRequested
from tollhouse.kernel.ids import is_id, new_id
from tollhouse.ledger import actions as ledger
from tollhouse.store import Row, Store, Tx, cell_of, outbox

LONGEST_EXTERNAL_ID = 200


# --- signing up


async def sign_up(
    store: Store, desk: IdentityDesk, catalog: Catalog, form: SignUp, password: str, now: int, *, visitor: Visitor
) -> SignedUp:
    """User, customer, account, plan, grant, default project and session in one transaction (A1).

    Raises InvalidRequest (`invalid_email`, `weak_password`), Conflict `email_taken`, TooManyAttempts.
    """
    checked = checked_sign_up(form, catalog)
    check_new_password(password, checked.email)
    desk.attempt("sign-up", None, visitor, now)
    password_hash = await desk.passwords.hash(password)
    async with store.transaction() as tx:
        return await sign_up_in(tx, desk, catalog, checked, password_hash, now, visitor=visitor)


def checked_sign_up(form: SignUp, catalog: Catalog) -> SignUp:
    """The form with every field in its stored form. Raises InvalidRequest."""
    return SignUp(
        normal_email(form.email),
        plain_text(form.name, "the name"),
        plain_text(form.city, "the city"),
        known_locale(form.locale, catalog.product.default_locale),
    )


async def sign_up_in(
    tx: Tx, desk: IdentityDesk, catalog: Catalog, form: SignUp, password_hash: str, now: int, *, visitor: Visitor
) -> SignedUp:
    """`sign_up` with the password hashed already, inside the caller's transaction."""
    user, customer = await add_owner(tx, catalog, form, password_hash, now)
    await identity.send_link(tx, desk, user, "verify", now)
    session = await identity.open_session(tx, desk, user.id, now, visitor)
    return SignedUp(user, session, customer)


async def add_owner(
    tx: Tx, catalog: Catalog, form: SignUp, password_hash: str | None, now: int, *, verified: bool = False,
    made_by: MadeBy = "pages",
) -> tuple[User, str | None]:  # fmt: skip
    """A user with a customer of its own, or (the second is None) with one that waits until the address is proven.

    `verified` is for those who vouch for the address: staff and the demo. Raises Conflict `email_taken`.
    """
    user = await identity.add_user(
        tx,
        email=form.email,
        name=form.name,
        locale=form.locale,
        password_hash=password_hash,
        now=now,
        verified=verified,
    )
    customer = new_id("cus")
    if await _take_name(tx, "email", form.email, customer):
        made = Customer(
            customer, None, form.email, form.name, form.city, form.locale, made_by, now, now if verified else None
        )
        await _open_customer(tx, catalog, made, now)
        confirmed = True
    else:
        customer = await _named(tx, "email", form.email)
        confirmed = verified
    await tx.execute(
        queries.INSERT_MEMBER, user=user.id, customer=customer, role="owner", now=now,
        confirmed_at=now if confirmed else None,
    )  # fmt: skip
    return user, customer if confirmed else None


async def _open_customer(tx: Tx, catalog: Catalog, customer: Customer, now: int) -> None:
    """The customer's row, its account on the free plan with the sign-up grant, its first project."""
    await tx.execute(
        queries.INSERT_CUSTOMER, cell=cell_of(customer.id), id=customer.id, external_id=customer.external_id,
        email=customer.email, name=customer.name, city=customer.city, locale=customer.locale, made_by=customer.made_by,
        created_at=now, verified_at=customer.verified_at,
    )  # fmt: skip
    await ledger.open_account(tx, catalog, customer.id, now, verified=customer.verified_at is not None)
    await add_default_project(tx, catalog, customer.id, now)
    fact = CustomerCreated(customer.id, customer.made_by, catalog.free_plan)
    await outbox.put(tx, fact, customer=customer.id, now=now)


async def _take_name(tx: Tx, kind: str, name: str, customer: str) -> bool:
    """Give a name to this customer. False when it has an owner; a race waits here until the other has ended."""
    return await tx.execute(queries.INSERT_NAME, kind=kind, name=name, customer=customer) > 0


async def _named(tx: Tx, kind: str, name: str) -> str:
    row = await tx.fetch_one(queries.READ_NAME, kind=kind, name=name)
    if row is None:
        raise Conflict("this name was given up at this moment", fix="try again")
    return cast("str", row["customer"])


# --- proving an address


async def verify_email(
    tx: Tx, desk: IdentityDesk, catalog: Catalog, token: str, now: int, *, signed_in: str | None
) -> Verified:
    """Use the link of the e-mail. `signed_in` is the id of the user whose session the browser has, if any.

    Raises InvalidRequest `link_expired`; NotAuthenticated `sign_in_to_verify` when a customer waits for this user, and the
    browser is not signed in as that user: the link stays usable.
    """
    user = await identity.use_token(tx, desk, "verify", token, now)
    memberships = await tx.fetch(queries.READ_MEMBERSHIPS, user=user.id)
    if signed_in != user.id and any(row["confirmed_at"] is None for row in memberships):
        raise NotAuthenticated(
            "this address belongs to an account that exists already",
            code="sign_in_to_verify",
            fix="sign in with the password you chose and use the link again, or ask for a new password by e-mail",
        )
    return await address_proven(tx, desk, catalog, user, now)


async def reset_password(
    store: Store, desk: IdentityDesk, catalog: Catalog, token: str, password: str, now: int
) -> Verified:
    """Set a new password by the link of the e-mail; ends every session, and proves the address as well.

    Raises InvalidRequest `link_expired` or `weak_password`. The user signs in afterwards.
    """
    async with store.reading() as tx:
        proven = await identity.read_token(tx, desk, "reset", token, now)
    check_new_password(password, proven.email)
    password_hash = await desk.passwords.hash(password)
    async with store.transaction() as tx:
        user = await identity.use_token(tx, desk, "reset", token, now)
        await identity.set_password(tx, user.id, password_hash, now)
        return await address_proven(tx, desk, catalog, user, now)


async def address_proven(
    tx: Tx, desk: IdentityDesk, catalog: Catalog, user: User, now: int, *, welcome: bool = True
) -> Verified:
    """Confirm what waited for the address: memberships, the customer's own mark, grants that are `verified_only`."""
    await tx.execute(queries.CONFIRM_MEMBER, user=user.id, now=now)
    for row in await tx.fetch(queries.READ_MEMBERSHIPS, user=user.id):
        customer = row["customer"]
        if await tx.execute(queries.VERIFY_CUSTOMER, cell=cell_of(customer), id=customer, now=now):
            await ledger.verify_email(tx, catalog, customer, now)
    owned = await customer_of_user(tx, user.id)
    if welcome and user.verified_at is None:
        values = {"url": f"{desk.url}/app", "name": user.name, "product": desk.product}
        await outbox.put(tx, MailRequested("welcome", user.email, user.locale, values), customer=owned, now=now)
    return Verified(await identity.read_user(tx, user.id), owned)


# --- the product's own server


async def create_or_get(tx: Tx, catalog: Catalog, new: NewCustomer, now: int) -> Created:
    """The customer with this `external_id`, or with this e-mail when none is given; made with its grant, once (X2).

    Raises InvalidRequest; Conflict `email_taken` when the address is another customer's, or when whoever signed up with
    it has not proven that it is theirs.
    """
    email = normal_email(new.email)
    external = checked_external_id(new.external_id) if new.external_id is not None else None
    customer = new_id("cus")
    if external is not None and not await _take_name(tx, "external", external, customer):
        customer = await _named(tx, "external", external)
        owner = await tx.fetch_one(queries.READ_NAME, kind="email", name=email)
        if owner is not None and owner["customer"] != customer:
            raise _email_taken(external)
        return Created(customer, False)
    if not await _take_name(tx, "email", email, customer):
        known = await _named(tx, "email", email)
        if external is not None:
            await _adopt(tx, known, external, customer)
        elif (await read_customer(tx, known)).verified_at is None:
            raise _email_unproven()
        return Created(known, False)
    made = Customer(
        customer, external, email, plain_text(new.name, "the name"), plain_text(new.city, "the city"),
        known_locale(new.locale, catalog.product.default_locale), "api", now, now,
    )  # fmt: skip
    await _open_customer(tx, catalog, made, now)
    return Created(customer, True)


async def _adopt(tx: Tx, known: str, external: str, placeholder: str) -> None:
    """Give the product's own id to a customer who signed up on the pages and has proven the address."""
    adopted = await tx.execute(queries.ADOPT_CUSTOMER, cell=cell_of(known), id=known, external_id=external)
    if adopted == 0:
        raise _email_taken(external)
    await tx.execute(queries.MOVE_NAME, kind="external", name=external, before=placeholder, customer=known)


def checked_external_id(text: str) -> str:
    """The product's own id. Raises InvalidRequest: 1 to 200 printable characters, not beginning like an id of ours."""
    if not 1 <= len(text) <= LONGEST_EXTERNAL_ID or not text.isprintable() or text != text.strip():
        raise InvalidRequest(
            "the external_id is empty, too long or not printable", code="invalid_external_id",
            fix=f"send 1 to {LONGEST_EXTERNAL_ID} printable characters without spaces around them",
        )  # fmt: skip
    if text.startswith(("cus_", "usr_")):
        raise InvalidRequest(
            "the external_id begins like an id of Tollhouse", code="invalid_external_id",
            fix="send your own id; it may not begin with cus_ or usr_",
        )  # fmt: skip
    return text


def _email_taken(external: str) -> Conflict:
    return Conflict(
        "this e-mail address is another customer's", code="email_taken",
        fix=f"send the address of {external!r} itself, or the external_id that this address was created with;"
        " a customer who signed up on the pages has to verify the address first",
    )  # fmt: skip


def _email_unproven() -> Conflict:
    return Conflict(
        "somebody signed up on the pages with this e-mail address and has not verified it yet", code="email_taken",
        fix="wait until the address is verified and send the request again then; before, it may be a stranger's account",
    )  # fmt: skip


# --- finding customers


async def resolve(tx: Tx, reference: str) -> str:
    """The customer meant by `cus_…`, `usr_…` (a member) or an `external_id`. Raises NotFound `customer_not_found`."""
    found: str | None = None
    if is_id(reference, "cus"):
        row = await tx.fetch_one(queries.READ_CUSTOMER, cell=cell_of(reference), id=reference)
        found = row["id"] if row is not None else None
    elif is_id(reference, "usr"):
        found = await customer_of_user(tx, reference)
    elif may_be_external(reference):
        row = await tx.fetch_one(queries.READ_NAME, kind="external", name=reference)
        found = row["customer"] if row is not None else None
    if found is None:
        raise customer_not_found(reference)
    return found


def may_be_external(reference: str) -> bool:
    """Whether this could be a product's own id at all (what could not is never sent to the database)."""
    return 1 <= len(reference) <= LONGEST_EXTERNAL_ID and reference.isprintable()


def customer_not_found(reference: str) -> NotFound:
    """The error for a reference that names nobody."""
    return NotFound(
        f"there is no customer {reference[:LONGEST_EXTERNAL_ID]!r}", code="customer_not_found",
        fix="create it with POST /v1/customers, or send its cus_ id, a member's usr_ id or your external_id",
    )  # fmt: skip


async def customer_of_user(tx: Tx, user: str) -> str | None:
    """The customer that this user owns; None while it waits for the address to be proven."""
    for row in await tx.fetch(queries.READ_MEMBERSHIPS, user=user):
        if row["confirmed_at"] is not None:
            return cast("str", row["customer"])
    return None


async def read_customer(tx: Tx, customer: str) -> Customer:
    """By its `cus_` id. Raises NotFound."""
    row = await tx.fetch_one(queries.READ_CUSTOMER, cell=cell_of(customer), id=customer)
    if row is None:
        raise customer_not_found(customer)
    return customer_from(row)


def customer_from(row: Row) -> Customer:
    """A customer as it was written."""
    return Customer(
        row["id"], row["external_id"], row["email"], row["name"], row["city"], row["locale"], row["made_by"],
        row["created_at"], row["verified_at"],
    )  # fmt: skip
