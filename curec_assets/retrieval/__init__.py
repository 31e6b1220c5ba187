"""Which items come into question for a user, and where a liked item stands among all."""
