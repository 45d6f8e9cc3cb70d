# Two containers from one file; podman takes the same arguments as docker.
#
# lab: JupyterLab with the lessons, on http://localhost:8888 (open the address with the token that it
# prints). With the checkout mounted, the notebooks that you change stay in it:
#
#   docker build -t seglib-lab .
#   docker run --rm -p 8888:8888 -v "$PWD:/course" seglib-lab
#
# grade: grading on macOS and Windows, or wherever bubblewrap is missing. The options let bubblewrap
# make its namespaces within the container, which has no network:
#
#   docker build -t seglib-grade --target grade .
#   mkdir -p graded
#   docker run --rm --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
#       --security-opt systempaths=unconfined --network none \
#       -v "$PWD/submitted:/submitted:ro" -v "$PWD/graded:/graded" \
#       seglib-grade /submitted --assignment 10 --out /graded
#
# --build-arg TORCH=auto|cu126|… takes another build of PyTorch than the CPU-only one, and
# --build-arg PIP_ARGS="…" passes arguments to pip.
FROM python:3.12-slim AS base
ARG TORCH=cpu
ARG PIP_ARGS=""
ENV PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
WORKDIR /course
COPY pyproject.toml requirements.lock README.md LICENSE LICENSE-lessons ./
COPY tools/environment.py tools/environment.py
COPY seglib seglib
COPY data/pocket data/pocket

FROM base AS grade
RUN apt-get update && apt-get install -y --no-install-recommends bubblewrap \
    && rm -rf /var/lib/apt/lists/* && useradd --create-home grader
COPY lessons/source lessons/source
RUN python tools/environment.py --here lab grade
USER grader
ENTRYPOINT ["seglib", "grade"]

FROM base AS lab
RUN apt-get update && apt-get install -y --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* && useradd --create-home learner
RUN python tools/environment.py --here lab grade
COPY data data
COPY lessons lessons
RUN chown -R learner /course
USER learner
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "lessons/00_start_here.ipynb"]
