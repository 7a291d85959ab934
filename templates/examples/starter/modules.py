    f"{__package__}.tasks.maintenance",
    f"{__package__}.tasks.notifications",
    f"{__package__}.tasks.reports",
    f"{__package__}.tasks.webhooks",
