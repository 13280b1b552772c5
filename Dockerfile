# A PostgreSQL server with omen_alex: docker build -t omen_alex . ; another version: --build-arg PG_MAJOR=18
ARG PG_MAJOR=17
FROM postgres:${PG_MAJOR}-bookworm AS build
ARG PG_MAJOR
RUN apt-get update \
	&& apt-get install -y --no-install-recommends g++ libboost-dev make "postgresql-server-dev-$PG_MAJOR" \
	&& rm -rf /var/lib/apt/lists/*
COPY . /omen_alex
WORKDIR /omen_alex
RUN make clean && make -j"$(nproc)" && make install DESTDIR=/installed

FROM postgres:${PG_MAJOR}-bookworm
COPY --from=build /installed/ /
