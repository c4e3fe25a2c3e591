"""Three journeys through relocd, each run in this process and traced: `./dev trace`.

`link`: from a syncrepl message to the raised address. `parameter`: from a changed parameter to the written file.
`move`: the command `relocd move web node2 --wait`. `recorder` says what is counted.
"""
