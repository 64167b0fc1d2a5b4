"""Dataset: questions and answers of your own, from a file. Retrieval over their documents, or any tools by name.

::

    Dataset("qa.jsonl")                                                      # columns "question" and "answer"
    Dataset("squad/", {"answer": "answers.text", "documents": "context", "group": "title"})
    Dataset("gsm8k.parquet", verifier="numeric", affordances=["python"])

Tools of your own are named, so that the family can be rebuilt from plain data; ``script`` says how the scripted
solution calls one, with ``{question}``, ``{answer}`` and the file's columns filled in. On the command line::

    --dial 'affordances=["mytools:capital"]' --dial 'script={"name":"capital","arguments":{"country":"{country}"}}'
    --dial 'affordances=[{"name":"mcp","options":{"command":["python","server.py"]}}]'

Without a ``script`` the first tool is asked the whole question. A tool that does not understand it says the same about
every task, and shuffled is then no control: ``reachlab check-env`` finds that.

Files: JSON lines, CSV, Parquet, or a folder written by ``datasets``' ``save_to_disk`` (read without that package).
``columns`` maps roles to columns: ``question``, ``answer`` (one, a list, or SQuAD's record), ``evidence`` (shown by the
oracle), ``documents`` (searched), ``stratum``, ``group`` (rows that must share a split), ``split``; ``corpus`` is the
column of the extra file ``corpus``. Rows that cannot be asked are refused with their numbers, or left out and logged
with ``bad="drop"``; ``family.report`` says what became of all of them.

==================  ============================================================================================
observation         text: the prompt, then tool results
action              text: the assistant's raw turn
reward              the verifier's, in [0, 1]: ``normalised`` (default), ``token-f1``, ``numeric``, ``regex``,
                    ``exact``, or one with options: ``{"name": "token-f1", "options": {"threshold": 0.8}}``
stop reasons        answered, turns, calls, tokens, forbidden; faults: seconds, fault
affordances         tools by name; by default ``search``, the ``top_k`` best of all documents by BM25
oracle              the row's evidence, else its documents, else the answer itself
closed-book p0      no policy-free bound: nothing is hidden from a model that read the same text. Enumerated only with
                    ``verifier="exact"``
optimum             1, the only bound that holds for every policy: a model may know what no document says.
                    ``coverage`` measures how often the documents hold an answer
==================  ============================================================================================

**Splits** are the given column's, or fixed by a hash of the question (of the ``group``, if there is one), so that rows
keep theirs when the file grows. They share no question; the documents are one library for both. A test seed at or
beyond the number of test questions is refused, since a question asked twice is not two tasks; training seeds go round.

**Shuffled.** All rows are asked over one corpus, so a donor's tool, asked what the policy asks, would answer about the
task itself. The tools therefore count as computing (see ``envs.donor``): the i-th call gets what the donor's scripted
solution got from its i-th call. The donor is another question of the same split and stratum, drawn without regard to
answers: one picked for its different answer would tell which answer is wrong. Rows that share evidence or documents
with the task, and rows whose results show any of it, are passed over while others are left.

``solution`` makes one call (``script``; by default it searches with the question) and answers with gold, whatever was
found: demonstrations in the right format, which is no proof that the answer stands in the results (``coverage`` says
how often it does). ``guess`` draws from the answers of the training split.

Not covered: files larger than memory, documents cut into passages, judges that are models.
"""

from reachlab.envs.dataset.family import Coverage, Dataset
from reachlab.envs.dataset.questions import Report

__all__ = ["Coverage", "Dataset", "Report"]
