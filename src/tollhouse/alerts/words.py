"""The words of alerts in French: titles and severities. Details and fixes stay as the errors say them, to be looked for."""

TITLES = {
    "Payments of customers fail": "Des paiements de clients échouent",
    "Customers cannot pay": "Des clients ne peuvent pas payer",
    "Payments are degraded": "Les paiements sont dégradés",
    "Payments are critical": "Les paiements sont en état critique",
    "An event from Stripe could not be applied": "Un événement de Stripe n’a pas pu être appliqué",
    "Stripe's webhooks are refused": "Les webhooks de Stripe sont refusés",
    "A customer has two live subscriptions": "Un client a deux abonnements en cours",
    "A price in Stripe buys no plan": "Un prix de Stripe ne correspond à aucune offre",
    "A pack was paid and could not be granted": "Un pack a été payé et n’a pas pu être accordé",
    "Customers differed from Stripe": "Des clients différaient de Stripe",
    "The PDF of an invoice could not be fetched": "Le PDF d’une facture n’a pas pu être récupéré",
    "A webhook endpoint was disabled": "Une destination de webhooks a été désactivée",
    "Webhooks to an endpoint were given up": "Des webhooks vers une destination ont été abandonnés",
}
SEVERITIES = {"critical": "critique", "high": "élevé", "medium": "moyen", "low": "faible"}


def title_in(locale: str, title: str) -> str:
    """The title in the reader's language, where it has words of its own."""
    return TITLES.get(title, title) if locale.startswith("fr") else title


def severity_in(locale: str, severity: str) -> str:
    """The severity in the reader's language."""
    return SEVERITIES.get(severity, severity) if locale.startswith("fr") else severity
