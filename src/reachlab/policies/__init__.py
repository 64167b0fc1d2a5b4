"""Policies: who acts and who learns.

============  ================================================================================
huggingface   any causal language model by path or name; ``tiny`` ships with reachlab
session       batched multi-turn sampling over it, cache kept across turns
reading       an episode's tokens, read into the cache; ``decoding`` samples them one by one
imaginer      who writes the tool results of the imagined world
cache         key-value caches that grow in place and drop finished rows
chat          prompts and suffixes by a tokenizer's own template; ids only appended
scoring       teacher-forced log-probabilities, spent nats, imported bits
enumeration   exact closed-book p0
advantages    of grouped rewards
learner       the one learner; ``config`` its settings, ``gradients`` and ``importance`` its parts
adapters      LoRA on the base's own weights
tilts         gibbs and best-of-n: which of a policy's draws are kept
search        best-of-n, beam, best-first, mcts over sampled turns (a package)
tabular       policies whose every probability is known (a package)
scripted      policies whose turns a function writes
vllm          sampling through vLLM in process (a package)
endpoint      OpenAI-compatible servers (a package)
chat_model    any LangChain chat model (a package)
============  ================================================================================

Policies share only the contracts with environments: learners consume transcripts, sessions take prompts.
Not covered: several devices.
"""
