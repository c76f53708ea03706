"""What each e-mail says, in English and French. `{name}` and the like are filled in when it is sent."""

from collections.abc import Mapping

import msgspec

from tollhouse.kernel.errors import InvalidRequest


class Letter(msgspec.Struct, frozen=True):
    """One e-mail before it has a look. `reason` says why it was sent; `button` names what to do, at `{url}`."""

    subject: str
    heading: str
    paragraphs: tuple[str, ...]
    reason: str
    button: str = ""
    small_print: str = ""

    def filled(self, values: Mapping[str, str]) -> "Letter":
        """With its values put in. Raises InvalidRequest naming a value that is missing."""
        try:
            return Letter(
                _one_line(self.subject.format_map(values)),
                self.heading.format_map(values),
                tuple(
                    part for paragraph in self.paragraphs for part in paragraph.format_map(values).split("\n\n") if part
                ),
                self.reason.format_map(values),
                self.button.format_map(values),
                self.small_print.format_map(values),
            )
        except KeyError as missing:
            raise InvalidRequest(
                f"the e-mail {self.subject!r} needs a value {missing}", code="mail_value_missing"
            ) from None


def _one_line(text: str) -> str:
    return " ".join(text.split())


LETTERS: dict[tuple[str, str], Letter] = {
    ("verify_email", "en"): Letter(
        subject="Confirm your e-mail address for {product}",
        heading="Confirm your e-mail address",
        paragraphs=("Welcome to {product}. One click tells us that this address is yours.",),
        button="Confirm my address",
        small_print="The link works for {expires_hours} hours, once.",
        reason="You receive this because somebody signed up for {product} with this address. "
        "If it was not you, leave it: nothing will happen.",
    ),
    ("verify_email", "fr"): Letter(
        subject="Confirmez votre adresse e-mail pour {product}",
        heading="Confirmez votre adresse e-mail",
        paragraphs=("Bienvenue chez {product}. Un clic suffit pour nous dire que cette adresse est bien la vôtre.",),
        button="Confirmer mon adresse",
        small_print="Le lien reste valable {expires_hours} heures et ne sert qu’une fois.",
        reason="Vous recevez ce message parce qu’un compte {product} vient d’être créé avec cette adresse. "
        "Si ce n’était pas vous, ignorez-le : il ne se passera rien.",
    ),
    ("reset_password", "en"): Letter(
        subject="Choose a new password for {product}",
        heading="Choose a new password",
        paragraphs=("You asked for a new password. It will end every session that is open on your account.",),
        button="Choose a new password",
        small_print="The link works for one hour, once.",
        reason="You receive this because somebody asked for a new password for this address at {product}. "
        "If it was not you, leave it: your password stays as it is.",
    ),
    ("reset_password", "fr"): Letter(
        subject="Choisissez un nouveau mot de passe pour {product}",
        heading="Choisissez un nouveau mot de passe",
        paragraphs=(
            "Vous avez demandé un nouveau mot de passe. Il fermera toutes les sessions ouvertes sur votre compte.",
        ),
        button="Choisir un nouveau mot de passe",
        small_print="Le lien reste valable une heure et ne sert qu’une fois.",
        reason="Vous recevez ce message parce qu’un nouveau mot de passe a été demandé pour cette adresse chez {product}. "
        "Si ce n’était pas vous, ignorez-le : votre mot de passe ne change pas.",
    ),
    ("welcome", "en"): Letter(
        subject="Your {product} account is ready",
        heading="Your account is ready",
        paragraphs=(
            "Your address is confirmed, and everything that came with your account can be used.",
            "What you have left is always at the top of your account's first page.",
        ),
        button="Open my account",
        reason="You receive this once, because you confirmed this address at {product}.",
    ),
    ("welcome", "fr"): Letter(
        subject="Votre compte {product} est prêt",
        heading="Votre compte est prêt",
        paragraphs=(
            "Votre adresse est confirmée : tout ce qui est offert avec votre compte est à vous.",
            "Ce qu’il vous reste s’affiche toujours en haut de la première page de votre compte.",
        ),
        button="Ouvrir mon compte",
        reason="Vous recevez ce message, une seule fois, parce que vous avez confirmé cette adresse chez {product}.",
    ),
    ("maintenance", "en"): Letter(
        subject="{product}: payments are being worked on",
        heading="Payments are being worked on",
        paragraphs=(
            "We are working on the payments of {product}. Until {until} no new plan can be bought.",
            "Everything that you have works as always. Your data and your plan are untouched, and there is nothing to do.",
        ),
        button="Open my account",
        reason="You receive this once, because you have an account at {product}.",
    ),
    ("maintenance", "fr"): Letter(
        subject="{product} : intervention sur les paiements",
        heading="Nous intervenons sur les paiements",
        paragraphs=(
            "Nous intervenons sur les paiements de {product}. Jusqu’au {until}, aucune nouvelle offre ne peut être achetée.",
            "Tout ce que vous avez fonctionne comme d’habitude. Vos données et votre offre ne changent pas, et vous n’avez "
            "rien à faire.",
        ),
        button="Ouvrir mon compte",
        reason="Vous recevez ce message, une seule fois, parce que vous avez un compte chez {product}.",
    ),
    ("plan_moves", "en"): Letter(
        subject="Your {product} plan changes",
        heading="Your plan changes",
        paragraphs=("{move}", "{changes}", "{price}", "What you have left stays yours."),
        button="Look at my plan",
        small_print="You may end your plan at any time on that page.",
        reason="You receive this once, because your account at {product} is on the plan {plan}.",
    ),
    ("plan_moves", "fr"): Letter(
        subject="Votre offre {product} change",
        heading="Votre offre change",
        paragraphs=("{move}", "{changes}", "{price}", "Ce qu’il vous reste est à vous et le demeure."),
        button="Voir mon offre",
        small_print="Sur cette page, vous pouvez aussi arrêter votre offre à tout moment.",
        reason="Vous recevez ce message, une seule fois, parce que votre compte {product} est sur l’offre {plan}.",
    ),
    ("alerts_opened", "en"): Letter(
        subject="[{product}, {environment}] {severity}: {title}",
        heading="{title}",
        paragraphs=("This needs somebody:", "{list}"),
        button="Open the staff pages",
        reason="You receive this because your address is STRIPE_ALERT_EMAIL of the environment {environment} of {product}.",
    ),
    ("alerts_opened", "fr"): Letter(
        subject="[{product}, {environment}] {severity} : {title}",
        heading="{title}",
        paragraphs=("Quelqu’un doit s’en occuper :", "{list}"),
        button="Ouvrir l’administration",
        reason="Vous recevez ce message parce que votre adresse est STRIPE_ALERT_EMAIL de l’environnement {environment} "
        "de {product}.",
    ),
    ("alerts_reminder", "en"): Letter(
        subject="[{product}, {environment}] still: {title}",
        heading="Still so: {title}",
        paragraphs=("This has not ended. You will not be reminded again.", "{list}"),
        button="Open the staff pages",
        reason="You receive this because your address is STRIPE_ALERT_EMAIL of the environment {environment} of {product}.",
    ),
    ("alerts_reminder", "fr"): Letter(
        subject="[{product}, {environment}] toujours : {title}",
        heading="Toujours en cours : {title}",
        paragraphs=("Ce n’est pas terminé. Il n’y aura pas d’autre rappel.", "{list}"),
        button="Ouvrir l’administration",
        reason="Vous recevez ce message parce que votre adresse est STRIPE_ALERT_EMAIL de l’environnement {environment} "
        "de {product}.",
    ),
    ("alerts_ended", "en"): Letter(
        subject="[{product}, {environment}] over: {title}",
        heading="Over: {title}",
        paragraphs=("This has ended:", "{list}"),
        button="Open the staff pages",
        reason="You receive this because your address is STRIPE_ALERT_EMAIL of the environment {environment} of {product}.",
    ),
    ("alerts_ended", "fr"): Letter(
        subject="[{product}, {environment}] terminé : {title}",
        heading="Terminé : {title}",
        paragraphs=("C’est terminé :", "{list}"),
        button="Ouvrir l’administration",
        reason="Vous recevez ce message parce que votre adresse est STRIPE_ALERT_EMAIL de l’environnement {environment} "
        "de {product}.",
    ),
    ("receipt", "en"): Letter(
        subject="Your receipt from {product}: {paid}",
        heading="{paid} paid",
        paragraphs=("Thank you. The invoice {number} is paid since {day}.", "{tax}", "{file}"),
        button="See my invoices",
        reason="You receive this because your account at {product} paid this invoice.",
    ),
    ("receipt", "fr"): Letter(
        subject="Votre reçu {product} : {paid}",
        heading="{paid} réglés",
        paragraphs=("Merci. La facture {number} est réglée depuis le {day}.", "{tax}", "{file}"),
        button="Voir mes factures",
        reason="Vous recevez ce message parce que votre compte {product} a réglé cette facture.",
    ),
}

RECEIPT_WORDS = {
    "en": {
        "tax": "It comes to {net} and {tax} of tax.",
        "attached": "The invoice is attached as a PDF, and stays with your other invoices.",
        "later": "Its PDF will stand with your other invoices in a while.",
    },
    "fr": {
        "tax": "Elle s’élève à {net}, plus {tax} de TVA.",
        "attached": "Vous la trouverez jointe en PDF ; elle reste aussi parmi vos autres factures.",
        "later": "Son PDF se trouvera sous peu parmi vos autres factures.",
    },
}
"""What a receipt says only where it is so."""


def letter(template: str, locale: str) -> Letter:
    """The letter in this language, else in English. Raises InvalidRequest for an unknown template."""
    language = locale.lower().replace("_", "-").partition("-")[0]
    found = LETTERS.get((template, language)) or LETTERS.get((template, "en"))
    if found is None:
        raise InvalidRequest(f"there is no e-mail {template!r}", code="unknown_mail", fix="add it to letters.py")
    return found
