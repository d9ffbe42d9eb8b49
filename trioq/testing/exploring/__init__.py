"""The explorer: a handler's runs with something going wrong at each of its steps.

sites       what is put into the user's code so that it can be stopped there, in its source
instrument  gives it to functions that exist already, for a while
stepped     drives a handler from one step to the next, and stops it between any two
marks       steps that a handler names itself
plan        which runs there are: values in, values out
run         one run, in which something goes wrong
explorer    all of them
functional  explore(…): in worlds that it makes; marker: in those of a test of pytest's
report      what is said of one that came out wrong
"""
