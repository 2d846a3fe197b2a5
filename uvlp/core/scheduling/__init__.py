"""Which task runs next, on which of this machine's cards, and the processes that run them."""
