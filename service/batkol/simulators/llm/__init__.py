"""The double of a language model, with OpenAI's wire."""
