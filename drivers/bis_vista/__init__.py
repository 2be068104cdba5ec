"""BIS VISTA and A-2000 monitors, binary protocol."""
