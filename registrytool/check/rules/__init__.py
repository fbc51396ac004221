"""The rules, one in each file; the name of the file is the name of the rule.

Codes: RT1xx the tree of revisions and schema files, RT2xx released files, RT3xx what steps do when they run, RT4xx
dangerous statements, RT5xx waivers, RT6xx the merge of branches.
"""
