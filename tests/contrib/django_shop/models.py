from django.db import models


class Order(models.Model):  # type: ignore[misc]
    total = models.IntegerField(default=0)
