-- Those that have a fair key wait for their turns.
put("HSET", flow, in_turn.rows)
put("ZADD", fair, in_turn.members)
put("HSET", turns, in_turn.moved)
