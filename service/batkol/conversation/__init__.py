"""The agent's turns with one caller: when it answers, what it says, when it is silent."""
