"""Words that every room shares: ids, clock, money, units, periods, facts and the error tree."""
