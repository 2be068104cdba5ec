"""GE Dash patient monitors by the bed messages of their network (Unity, later CARESCAPE)."""
